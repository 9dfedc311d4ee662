import assert from 'node:assert/strict';
import test from 'node:test';
import { bitrate, many, milliseconds, percent, quality, sparkline } from '../figures.js';

test('numbers are written for people', () => {
  assert.deepEqual([0, 900, 32_000, 1_843_000].map(bitrate), ['0 kbit/s', '0.9 kbit/s', '32 kbit/s', '1.84 Mbit/s']);
  assert.deepEqual([0, 0.44, 12.6].map(percent), ['0 %', '0.4 %', '13 %']);
  assert.deepEqual([0, 2.34, 120].map(milliseconds), ['–', '2.3 ms', '120 ms']);
  assert.deepEqual([12, 12345, 1234567].map(many), ['12', '12,345', '1.2 M']);
  assert.deepEqual([5, 0, -1].map(quality), ['excellent', 'no connection', 'not known yet']);
});

test('a line ends at the right edge', () => {
  assert.equal(sparkline([0, 10], 60, 12, 3), '30.0,11.0 60.0,1.0');
});
