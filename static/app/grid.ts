// Where tiles go: pure geometry.

export interface Cell {
  columns: number;
  width: number;
  height: number;
}

/** Pictures are cropped rather than shrunk, but never to less than this (width by height). */
const narrowest = 3 / 4;
const widest = 16 / 9;

/** The largest cells in which n tiles fill width × height pixels. */
export function arrange(n: number, width: number, height: number, gap: number): Cell {
  let best: Cell = { columns: 1, width: 0, height: 0 };
  for (let columns = 1; columns <= n; columns++) {
    const rows = Math.ceil(n / columns);
    let w = (width - gap * (columns - 1)) / columns;
    let h = (height - gap * (rows - 1)) / rows;
    if (w <= 0 || h <= 0) continue;
    if (w / h > widest) w = h * widest;
    // A lone wide picture on a tall screen may stay a portrait; many small ones look better as even shapes.
    const least = width >= height ? 4 / 3 : narrowest;
    if (w / h < least) h = w / least;
    if (w * h > best.width * best.height * 1.001) best = { columns, width: Math.floor(w), height: Math.floor(h) };
  }
  return best;
}
