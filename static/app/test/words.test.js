import assert from 'node:assert/strict';
import test from 'node:test';
import { emojiOf, reactionMessage } from '../emoji.js';
import { explain, explainDevice } from '../errors.js';
import { count, duration, initials } from '../format.js';
import { levelOf, rolesAt } from '../level.js';
import { selectLive } from '../live-state.js';
import { streamURL } from '../stream-url.js';

test('durations and numbers', () => {
  assert.equal(duration(0), '0:00');
  assert.equal(duration(247_900), '4:07');
  assert.equal(duration(3_729_000), '1:02:09');
  assert.equal(duration(-5), '0:00', 'clocks differ a little');
  assert.equal(count(1, 'person', 'people'), '1 person');
  assert.equal(count(0, 'person', 'people'), '0 people');
});

test('initials in every script', () => {
  assert.equal(initials('Ada Lovelace'), 'AL');
  assert.equal(initials('  karen spärck jones '), 'KJ');
  assert.equal(initials('cher'), 'C');
  assert.equal(initials('👩🏽‍🚀 Mae'), '👩🏽‍🚀M');
  assert.equal(initials('王小明'), '王');
  assert.equal(initials(''), '?');
});

test('only reactions that we know are shown', () => {
  assert.equal(emojiOf(reactionMessage('tada')), 'tada');
  assert.equal(emojiOf('{"emojiId":"+1"}'), '+1');
  assert.equal(emojiOf({ emojiId: 'fire' }), 'fire');
  for (const message of ['{"emojiId":"constructor"}', '{"emojiId":7}', 'null', '[]', 'no json', '', undefined, '{"emojiId":"<img>"}']) {
    assert.equal(emojiOf(message), undefined, String(message));
  }
});

test('the level of a role', () => {
  const role = (name, allowed, sees, priority) =>
    ({ name, priority, publishParams: { allowed }, subscribeParams: { subscribeToRoles: sees } });
  const roles = {
    host: role('host', ['audio'], ['host'], 1), guest: role('guest', ['video'], [], 5),
    seat: role('seat', [], ['host'], 3), far: role('far', [], null, 4),
  };
  assert.deepEqual(Object.values(roles).map(levelOf), ['stage', 'stage', 'floor', 'gallery']);
  assert.equal(levelOf(null), 'gallery');
  assert.deepEqual(rolesAt('stage', roles).map((r) => r.name), ['guest', 'host'], 'the least powerful first');
  assert.deepEqual(rolesAt('stage', roles, 'guest').map((r) => r.name), ['host']);
});

test('where the stream stands', () => {
  const live = (hls) => selectLive({ room: { hls } });
  assert.equal(live({ running: false, variants: [] }), 'off');
  assert.equal(live({ running: true, variants: [{ state: 'initialised', url: '' }] }), 'starting');
  assert.equal(live({ running: true, variants: [] }), 'starting');
  assert.equal(live({ running: true, variants: [{ state: 'started', url: 'x' }] }), 'live');
  assert.equal(live({ running: false, variants: [{ state: 'stopped', url: 'x' }] }), 'off');
  assert.equal(live({ running: false, variants: [{ state: 'failed', url: '' }] }), 'failed');
});

test('every refusal says what to do', () => {
  Object.defineProperty(globalThis, 'navigator', { value: { onLine: true }, configurable: true });
  for (const [error, title, retry] of [
    [{ code: 401 }, /expired/, false], [{ code: 404 }, /No room/, false], [{ code: 410 }, /closed/, false],
    [{ code: 403, message: 'role is full' }, /free place/, true], [{ code: 403, message: 'room is disabled' }, /not open/, true],
    [{ code: 429 }, /Too many/, true], [{ code: 6010 }, /browser/, false], [{ code: 1003 }, /cannot be reached/, true],
    [new Error('odd'), /did not work/, true], [undefined, /did not work/, true],
  ]) {
    const why = explain(error);
    assert.match(why.title, title);
    assert.equal(why.retry, retry, why.title);
    assert.ok(why.text.length > 20);
  }
  for (const [error, title] of [
    [{ name: 'NotAllowedError' }, /blocks/], [{ code: 3001 }, /blocks/], [{ name: 'NotFoundError' }, /No camera/],
    [{ name: 'NotReadableError' }, /busy/], [{ code: 3011 }, /system/], [new Error('x'), /does not answer/],
  ]) {
    assert.match(explainDevice(error, 'camera').title, title);
  }
});

test('a stream that says localhost is loaded from where the page came from', () => {
  const path = '/beam/c/r/master.m3u8?x=1';
  for (const [url, page, want] of [
    ['http://localhost:8080' + path, 'http://localhost:8080/streaming/meeting/a', 'http://localhost:8080' + path],
    ['http://localhost:8080' + path, 'http://192.0.2.7:8080/streaming/meeting/a', 'http://192.0.2.7:8080' + path],
    ['http://localhost:8080' + path, 'http://127.0.0.1:8080/', 'http://127.0.0.1:8080' + path],
    ['https://cdn.example.com' + path, 'https://live.example.com/', 'https://cdn.example.com' + path],
    [path, 'https://live.example.com/x', 'https://live.example.com' + path],
  ]) assert.equal(streamURL(url, page), want);
});
