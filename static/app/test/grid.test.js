import assert from 'node:assert/strict';
import test from 'node:test';
import { arrange } from '../grid.js';

const gap = 8;

test('tiles fit, whatever the number and the window', () => {
  for (let n = 1; n <= 25; n++) {
    for (const [width, height] of [[1280, 660], [374, 700], [800, 800], [180, 660], [374, 120]]) {
      const cell = arrange(n, width, height, gap);
      const rows = Math.ceil(n / cell.columns);
      assert.ok(cell.width > 0 && cell.height > 0, `${n} in ${width}×${height}: no size`);
      assert.ok(cell.columns * (cell.width + gap) - gap <= width && rows * (cell.height + gap) - gap <= height,
        `${n} in ${width}×${height}: ${JSON.stringify(cell)} does not fit`);
      const shape = cell.width / cell.height;
      assert.ok(shape > 0.7 && shape < 1.85, `${n} in ${width}×${height}: shape ${shape}`);
    }
  }
});

test('the familiar cases', () => {
  assert.equal(arrange(1, 1280, 660, gap).columns, 1);
  assert.equal(arrange(2, 1280, 660, gap).columns, 2);
  assert.equal(arrange(4, 1280, 660, gap).columns, 2);
  assert.equal(arrange(9, 1280, 660, gap).columns, 3);
  assert.equal(arrange(2, 374, 700, gap).columns, 1, 'one above the other on a phone');
});

test('no room gives no tiles, not an error', () => {
  assert.deepEqual(arrange(3, 0, 0, gap), { columns: 1, width: 0, height: 0 });
  assert.deepEqual(arrange(0, 800, 600, gap), { columns: 1, width: 0, height: 0 });
});
