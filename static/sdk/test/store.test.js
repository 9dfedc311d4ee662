import assert from 'node:assert/strict';
import test from 'node:test';
import { Store } from '../store.js';
import { selectHMSMessages, selectPeers, selectRoomState } from '../selectors.js';

const peer = (id, more = {}) => ({ id, name: id, isLocal: false, auxiliaryTracks: [], isHandRaised: false, type: 'regular', ...more });

test('a patch changes what it names, and leaves the rest the same objects', () => {
  const store = new Store();
  store.apply({ v: 1, set: { room: { ...store.getState().room, peers: ['a', 'b'] } }, merge: { peers: { a: peer('a'), b: peer('b') } } });
  const before = store.getState();
  store.apply({ v: 2, merge: { peers: { b: peer('b', { name: 'Bo' }) } } });
  const after = store.getState();
  assert.notEqual(after.peers, before.peers);
  assert.equal(after.peers.a, before.peers.a);
  assert.equal(after.room, before.room);
  assert.equal(after.peers.b.name, 'Bo');
  store.apply({ v: 3, merge: { peers: { a: null } } });
  assert.deepEqual(Object.keys(store.getState().peers), ['b']);
});

test('the state is frozen, all the way down', () => {
  const store = new Store();
  store.apply({ v: 1, merge: { peers: { a: peer('a', { groups: ['g'] }) } } });
  assert.throws(() => { store.getState().peers.a.name = 'x'; }, TypeError);
  assert.throws(() => store.getState().peers.a.groups.push('x'), TypeError);
  assert.throws(() => { store.getState().peers.b = {}; }, TypeError);
});

test('times are dates', () => {
  const store = new Store();
  store.apply({ v: 1, set: { room: { startedAt: 5, hls: { variants: [{ initialisedAt: 6, url: '' }] } } }, messages: { set: [{ id: 'm', time: 7 }] } });
  const { room, messages } = store.getState();
  assert.equal(room.startedAt.getTime(), 5);
  assert.equal(room.hls.variants[0].initialisedAt.getTime(), 6);
  assert.equal(messages.byID.m.time.getTime(), 7);
});

test('messages are appended, replaced and forgotten', () => {
  const store = new Store();
  const list = () => store.getState(selectHMSMessages).map((m) => `${m.id}${m.read ? '+' : ''}`).join();
  store.apply({ v: 1, messages: { set: [{ id: 'a' }, { id: 'b' }] } });
  store.apply({ v: 2, messages: { set: [{ id: 'a', read: true }, { id: 'c' }], drop: ['b'] } });
  assert.equal(list(), 'a+,c');
});

test('a reset forgets the room, but not this machine', () => {
  const store = new Store();
  const devices = { audioInput: [{ deviceId: 'x' }], audioOutput: [], videoInput: [] };
  store.apply({ v: 1, set: { devices, errors: [{ code: 1 }] }, merge: { peers: { a: peer('a') } }, messages: { set: [{ id: 'm' }] } });
  store.apply({ v: 2, reset: true, set: { room: { roomState: 'Failed', peers: [] } } });
  const state = store.getState();
  assert.deepEqual([state.peers, state.messages.allIDs, state.room.roomState], [{}, [], 'Failed']);
  assert.equal(state.devices.audioInput[0].deviceId, 'x');
  assert.equal(state.errors.length, 1);
});

test('subscribers hear of their part alone', () => {
  const store = new Store();
  const heard = [];
  const stop = store.subscribe((now, before) => heard.push([now, before]), selectRoomState);
  store.apply({ v: 1, merge: { peers: { a: peer('a') } } });
  store.apply({ v: 2, set: { room: { roomState: 'Connecting', peers: [] } } });
  stop();
  store.apply({ v: 3, set: { room: { roomState: 'Connected', peers: [] } } });
  assert.deepEqual(heard, [['Connecting', 'Disconnected']]);
});

test('an array that is made anew with the same entries is no change', () => {
  const store = new Store();
  let heard = 0;
  store.subscribe(() => heard++, (state) => Object.values(state.peers));
  store.apply({ v: 1, merge: { peers: { a: peer('a') } } });
  store.apply({ v: 2, set: { room: { roomState: 'Connected', peers: [] } } });
  store.apply({ v: 3, merge: { tracks: { t: { id: 't' } } } });
  assert.equal(heard, 1);
  assert.equal(store.getState(selectPeers), store.getState(selectPeers));
});

test('one subscriber that fails does not keep the others from hearing', (t) => {
  t.mock.method(console, 'error', () => {});
  const store = new Store();
  let heard = 0;
  store.subscribe(() => { throw new Error('mine'); });
  store.subscribe(() => heard++);
  store.apply({ v: 1, set: { errors: [] } });
  assert.equal(heard, 1);
});

test('triggerOnSubscribe tells the present value at once', () => {
  const store = new Store();
  const heard = [];
  store.triggerOnSubscribe();
  store.subscribe((state) => heard.push(state), selectRoomState);
  assert.deepEqual(heard, ['Disconnected']);
});
