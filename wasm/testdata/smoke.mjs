// Loads the client as the facade does, without a browser, and looks at the edge between the two languages.
// Usage: node smoke.mjs wasm_exec.js client.wasm
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

const [execPath, wasmPath] = process.argv.slice(2);
await import(pathToFileURL(execPath).href);

const go = new globalThis.Go();
const { instance } = await WebAssembly.instantiate(await readFile(wasmPath), go.importObject);
const program = await new Promise((ready) => {
  globalThis.__amphi = { ready };
  void go.run(instance);
});

// A client tells of every change, with consecutive versions, before the call that made it is settled.
const patches = [];
const notifications = [];
const client = program.client((kind, json) => {
  (kind === 'state' ? patches : notifications).push(JSON.parse(json));
});
const call = (method, args = {}) => client.call(method, JSON.stringify(args));
const refusal = async (method, args) => {
  try {
    await call(method, args);
  } catch (error) {
    return JSON.parse(error);
  }
  throw new Error(`${method} was not refused`);
};

assert.equal((await refusal('noSuchAction')).code, 6013);
assert.equal((await refusal('join', { authToken: 'not a token' })).code, 2004);
assert.equal((await refusal('sendMessage', { message: 'x' })).code, 6000);
await assert.rejects(client.call('join', '{'), 'arguments that are no JSON');
await call('setLogLevel', { level: 7 });
await call('leave');

// /init and the token service go through fetch, with what the protocol wants.
const requests = [];
const server = createServer((request, response) => {
  let body = '';
  request.on('data', (chunk) => (body += chunk)).on('end', () => {
    requests.push({ method: request.method, url: request.url, auth: request.headers.authorization, body });
    const ok = request.url === '/v2/token';
    response.writeHead(ok ? 200 : 401, { 'content-type': 'application/json' });
    response.end(JSON.stringify(ok ? { token: 't' } : { code: 401, message: 'expired' }));
  });
});
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const origin = `http://127.0.0.1:${server.address().port}`;

assert.deepEqual(JSON.parse(await call('getAuthTokenByRoomCode', { roomCode: 'abc', endpoint: `${origin}/v2/token` })), { token: 't' });
assert.deepEqual(JSON.parse(requests[0].body), { code: 'abc' });

const token = `e30.${Buffer.from('{"room_id":"r","role":"host"}').toString('base64url')}.x`;
const expired = await refusal('join', { authToken: token, userName: 'Ann', initEndpoint: origin });
assert.equal(expired.code, 401);
assert.ok(expired.isTerminal);
assert.equal(requests[1].auth, `Bearer ${token}`);
assert.match(requests[1].url, /^\/init\?peer_id=[0-9a-f-]{36}&user_agent_v2=os%3Aweb/);
assert.equal(patches.at(-1).set.room.roomState, 'Failed');
assert.ok(notifications.some((n) => n.type === 'ERROR' && n.data.code === 401));
patches.forEach((patch, i) => assert.equal(patch.v, i + 1));

// The player's policy is synchronous and made of numbers.
const player = program.player();
const first = player.tick(0, 0, 4, 4, NaN, false, false, false);
assert.equal(first.state, 'playing');
assert.ok(first.seek > 2, 'far from live: jump');
player.seekToLive();
player.release();

// A mistake of the page is an error of that call, and nothing else.
assert.doesNotThrow(() => program.client());
await call('leave');

server.close();
console.log('ok');
process.exit(0);
