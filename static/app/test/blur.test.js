import assert from 'node:assert/strict';
import test from 'node:test';
import { blur, canBlur, isBlurred, keepBlur, wantsBlur } from '../blur.js';

// No browser on Linux has a camera that can: this is one by the standard's words.
function camera(able, constraints = { width: { ideal: 1280 } }) {
  let now = able[0] ?? false;
  return {
    getCapabilities: () => (able.length ? { backgroundBlur: able } : {}),
    getSettings: () => ({ backgroundBlur: now }),
    getConstraints: () => constraints,
    applyConstraints: async (wanted) => {
      constraints = wanted;
      now = wanted.backgroundBlur;
    },
  };
}

test('a background is blurred where there is a choice', async () => {
  const kept = new Map();
  globalThis.localStorage = { getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => kept.set(name, value) };
  for (const [able, want] of [[[], false], [[false], false], [[true], false], [[false, true], true]]) assert.equal(canBlur(camera(able)), want, String(able));
  assert.equal(canBlur(undefined), false);
  assert.equal(canBlur({}), false, 'a browser without capabilities');

  const track = camera([false, true]);
  await blur(track, true);
  assert.ok(isBlurred(track) && wantsBlur());
  assert.deepEqual(track.getConstraints(), { width: { ideal: 1280 }, backgroundBlur: true });

  const next = camera([false, true]);
  await keepBlur(next);
  assert.ok(isBlurred(next), 'the next camera');
  const unable = camera([]);
  await keepBlur(unable);
  assert.deepEqual(unable.getConstraints(), { width: { ideal: 1280 } }, 'one that cannot is left alone');
  await blur(next, false);
  await keepBlur(track);
  assert.ok(!isBlurred(next) && !wantsBlur());
});
