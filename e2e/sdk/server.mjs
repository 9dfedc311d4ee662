// What a customer's server does with the unmodified server SDK. It is told where the server is and its keys by the
// environment, prints what it got as JSON, and fails where the SDK or an expectation does.
import assert from 'node:assert/strict';
import * as HMS from '@100mslive/server-sdk';

const { AMPHI_URL, AMPHI_TEMPLATE } = process.env;
const sdk = new HMS.SDK(); // HMS_ACCESS_KEY, HMS_SECRET
sdk.setLogLevel('silent');
sdk.api.axios.defaults.baseURL = AMPHI_URL + '/v2'; // the SDK has no option for it

async function all(iterable) {
  const list = [];
  for await (const object of iterable) list.push(object);
  return list;
}

async function refused(status, promise) {
  const error = await promise.then(() => assert.fail(`${status} was expected`), (e) => e);
  assert.equal(error.code, status, JSON.stringify(error));
  assert.ok(error.message);
}

// A room of the template, found again under its id and its name, in whatever letters.
const room = await sdk.rooms.create({ name: 'SDK-room', description: 'made by the SDK', template_id: AMPHI_TEMPLATE, region: 'eu' });
assert.equal(room.template_id, AMPHI_TEMPLATE);
assert.equal(room.description, 'made by the SDK');
assert.ok(room.created_at instanceof Date && !Number.isNaN(room.created_at.getTime()));
assert.deepEqual((await sdk.rooms.retrieveById(room.id)).id, room.id);
assert.deepEqual((await sdk.rooms.retrieveByName('sdk-ROOM')).id, room.id);
assert.equal((await sdk.rooms.create({ name: 'sdk-room' })).id, room.id);
assert.equal((await sdk.rooms.update(room.id, { name: 'SDK-room-2', size: 30 })).size, 30);

// More rooms than a page has.
for (let i = 0; i < 12; i++) await sdk.rooms.create({ name: `page-${i}` });
const rooms = await all(sdk.rooms.list());
assert.ok(rooms.length >= 14 && new Set(rooms.map((r) => r.id)).size === rooms.length, `${rooms.length} rooms`);
assert.equal((await all(sdk.rooms.list({ limit: 13 }))).length, rooms.length);

// Codes: each that is listed is one that was made.
const codes = await sdk.roomCodes.create(room.id);
const extra = await sdk.roomCodes.createForRole(room.id, codes[0].role);
const listed = await all(sdk.roomCodes.list(room.id));
assert.equal(listed.length, codes.length + 1);
// The SDK makes dates of the times of single objects only.
const plain = (code) => ({ ...code, created_at: +new Date(code.created_at), updated_at: +new Date(code.updated_at) });
for (const code of listed) assert.deepEqual(plain(code), plain([...codes, extra].find((c) => c.code === code.code)));
assert.equal((await sdk.roomCodes.enableOrDisable(extra.code, false)).enabled, false);

// A live stream, of which the session is.
const started = await sdk.liveStreams.start(room.id);
assert.equal(started.status, 'starting');
assert.ok(started.playback.url.endsWith('/master.m3u8'));
await refused(400, sdk.liveStreams.start(room.id));
const session = await sdk.sessions.retrieveActiveByRoom(room.id);
assert.equal(session.id, started.session_id);
for (let i = 0; ; i++) {
  const { status } = await sdk.liveStreams.retrieve(started.id);
  if (status === 'running') break;
  assert.ok(status === 'starting' && i < 300, `the stream is ${status}`);
  await new Promise((done) => setTimeout(done, 100));
}
assert.equal((await sdk.liveStreams.sendTimedMetadata(started.id, { payload: 'poll:p1', duration: 5 })).id, started.id);
const master = await (await fetch(started.playback.url)).text();
assert.match(master, /^#EXTM3U/);
const media = new URL(master.split('\n').find((line) => line && !line.startsWith('#')), started.playback.url);
for (let i = 0; ; i++) { // with the next part of the stream
  const tag = /#EXT-X-DATERANGE:ID="[^"]+",START-DATE="[^"]+",DURATION=5,X-100MSLIVE-PAYLOAD="([^"]+)"/.exec(await (await fetch(media)).text());
  if (tag) {
    assert.equal(JSON.parse(atob(tag[1])).payload, 'poll:p1');
    break;
  }
  assert.ok(i < 100, 'the timed metadata does not come');
  await new Promise((done) => setTimeout(done, 100));
}
assert.equal((await sdk.activeRooms.retrieve(room.id)).session.id, session.id);
assert.deepEqual(await sdk.activeRooms.retrieveActivePeers(room.id), {});
await sdk.activeRooms.sendMessage(room.id, { message: 'hello' });
await refused(404, sdk.activeRooms.retrievePeerDetails(room.id, 'nobody'));
const stopped = await sdk.liveStreams.stop(started.id);
assert.equal(stopped.session_id, started.session_id);
await refused(404, sdk.liveStreams.stop('65b0c1d2e3f405162738495a'));
assert.deepEqual((await all(sdk.liveStreams.list({ room_id: room.id }))).map((l) => l.id), [started.id]);

// What is on record.
const sessions = await all(sdk.sessions.list());
assert.ok(sessions.some((s) => s.id === session.id));
assert.equal((await sdk.sessions.retrieveById(session.id)).room_id, room.id);
const recording = await sdk.recordings.start(room.id, { meeting_url: 'https://m.example/x', resolution: { width: 1280, height: 720 } });
const recordings = await all(sdk.recordings.list({ room_id: room.id }));
assert.deepEqual(recordings.map((r) => [r.id, r.session_id]), [[recording.id, recording.session_id]]);
assert.equal((await sdk.recordings.retrieve(recording.id)).room_id, room.id);
const assets = await all(sdk.recordingAssets.list());

// A closed room lets nobody in.
assert.equal((await sdk.rooms.enableOrDisable(room.id, false)).enabled, false);
await refused(403, sdk.roomCodes.create(room.id));
const { token } = await sdk.auth.getAuthToken({ roomId: room.id, role: codes[0].role, userId: 'u' });
assert.equal((await fetch(`${AMPHI_URL}/init`, { headers: { Authorization: `Bearer ${token}` } })).status, 403);

console.log(JSON.stringify({ rooms: rooms.length, codes: listed.length, sessions: sessions.length, recordings: recordings.length, assets: assets.length }));
