import assert from 'node:assert/strict';
import test from 'node:test';
import { choose } from '../arrangement.js';
import { pressed } from '../shortcuts.js';

test('what is large on stage', () => {
  const scene = { onStage: ['me', 'ann', 'bob'], me: 'me', kind: 'speaker' };
  const camera = (peer) => ({ what: 'camera', peer });
  for (const [name, change, want] of [
    ['in the grid nobody', { kind: 'grid', speaking: 'ann' }, undefined],
    ['a shared screen, also in the grid', { kind: 'grid', sharing: 'bob' }, { what: 'screen', peer: 'bob' }],
    ['who is pinned, before a screen', { kind: 'grid', pinned: 'ann', sharing: 'bob' }, camera('ann')],
    ['who was pinned and left the stage is not', { pinned: 'gone', sharing: 'bob' }, { what: 'screen', peer: 'bob' }],
    ['who speaks', { speaking: 'bob', before: 'ann' }, camera('bob')],
    ['who spoke last, while oneself speaks', { speaking: 'me', before: 'bob' }, camera('bob')],
    ['somebody else than oneself at first', {}, camera('ann')],
    ['who spoke and left', { before: 'gone' }, camera('ann')],
    ['nobody where one is alone', { onStage: ['me'], speaking: 'me' }, undefined],
  ]) assert.deepEqual(choose({ ...scene, ...change }), want, name);
});

test('shortcuts are by place, with Alt alone', () => {
  const key = { altKey: true, ctrlKey: false, metaKey: false, repeat: false, code: 'KeyM' };
  assert.equal(pressed(key), 'microphone');
  assert.equal(pressed({ ...key, code: 'KeyX' }), undefined);
  for (const wrong of [{ altKey: false }, { ctrlKey: true }, { metaKey: true }, { repeat: true }]) assert.equal(pressed({ ...key, ...wrong }), undefined);
});
