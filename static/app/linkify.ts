/** A piece of a message: text, or an address to be made a link. */
export interface Piece {
  text: string;
  href?: string;
}

const address = /\bhttps?:\/\/[^\s<>"'`]+/gi;

/** Finds http and https addresses; nothing else ever becomes a link. Punctuation that ends a sentence stays text. */
export function linkify(message: string): Piece[] {
  const pieces: Piece[] = [];
  let from = 0;
  for (const match of message.matchAll(address)) {
    let text = match[0].replace(/[.,;:!?…*_~]+$/, '');
    while (/[)\]}]$/.test(text) && !balanced(text)) text = text.slice(0, -1);
    if (!URL.canParse(text)) continue;
    if (match.index > from) pieces.push({ text: message.slice(from, match.index) });
    pieces.push({ text, href: new URL(text).href });
    from = match.index + text.length;
  }
  if (from < message.length) pieces.push({ text: message.slice(from) });
  return pieces;
}

/** As many brackets open as close: those belong to the address, as in …/Stage_(theatre). */
function balanced(text: string): boolean {
  const count = (chars: string) => [...text].filter((char) => chars.includes(char)).length;
  return count('([{') >= count(')]}');
}
