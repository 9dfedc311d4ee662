import assert from 'node:assert/strict';
import test from 'node:test';
import { Bridge, HMSError } from '../bridge.js';
import { Notifications } from '../notifications.js';

// A Go program of the test's own: the loader and an empty module, as addresses that need no server.
const programs = [];
globalThis.fakeProgram = (program) => programs.push(program);
globalThis.__AMPHI_EXEC__ = `data:text/javascript,globalThis.Go = class {
    importObject = {};
    run() {
      return new Promise((exit) => globalThis.fakeProgram({ exit, ready: (api) => globalThis.__amphi.ready(api) }));
    }
  }`;
globalThis.__AMPHI_WASM__ = 'data:application/wasm;base64,AGFzbQEAAAA=';
const started = async (n) => {
  while (programs.length < n) await new Promise((again) => setTimeout(again, 1));
  return programs[n - 1];
};
const recorder = (calls, answer = async () => undefined) => ({
  client: () => ({ call: (method, json) => (calls.push([method, JSON.parse(json)]), answer(method)) }),
});

test('the life of a bridge', async (t) => {
  let ended = 0;
  const bridge = new Bridge(() => {}, () => ended++);

  await t.test('calls wait for the program and keep their order', async () => {
    const calls = [];
    const all = Promise.all([bridge.call('first', { a: 1 }), bridge.call('second'), bridge.call('third')]);
    (await started(1)).ready(recorder(calls, async (method) => (method === 'second' ? '{"b":2}' : undefined)));
    assert.deepEqual(await all, [undefined, { b: 2 }, undefined]);
    assert.deepEqual(calls, [['first', { a: 1 }], ['second', {}], ['third', {}]]);
  });

  await t.test('a program that ends is told of, and started anew by the next call', async () => {
    programs[0].exit();
    while (ended === 0) await new Promise((again) => setTimeout(again, 1));
    const call = bridge.call('again');
    (await started(2)).ready(recorder([], async () => { throw JSON.stringify({ code: 403, name: 'No', message: 'm', timestamp: 5 }); }));
    await assert.rejects(call, (error) => error instanceof HMSError && error.code === 403 && error.timestamp.getTime() === 5
      && error.message === 'm' && error.isTerminal === false);
    assert.equal(ended, 1);
  });

  await t.test('a program that cannot be loaded is an error of the call', async () => {
    programs[1].exit();
    while (ended === 1) await new Promise((again) => setTimeout(again, 1));
    const good = globalThis.__AMPHI_WASM__;
    globalThis.__AMPHI_WASM__ = 'data:application/wasm;base64,bm90IHdhc20=';
    await assert.rejects(bridge.call('join'), WebAssembly.CompileError);
    globalThis.__AMPHI_WASM__ = good;
    const call = bridge.call('join');
    (await started(3)).ready(recorder([]));
    await call; // the next try may succeed
  });

  await t.test('a trap is the end of a program that cannot tell', async () => {
    const before = ended;
    programs[2].exit();
    while (ended === before) await new Promise((again) => setTimeout(again, 1));
    const call = bridge.call('trap');
    (await started(4)).ready(recorder([], async () => { throw new WebAssembly.RuntimeError('unreachable'); }));
    await assert.rejects(call, WebAssembly.RuntimeError);
    assert.equal(ended, before + 2);
    const next = bridge.call('again');
    (await started(5)).ready(recorder([]));
    await next;
  });
});

test('notifications reach who asked for their type', (t) => {
  t.mock.method(console, 'error', () => {});
  const notifications = new Notifications();
  const heard = [];
  notifications.onNotification(() => { throw new Error('mine'); });
  notifications.onNotification((n) => heard.push('all ' + n.type));
  notifications.onNotification((n) => heard.push('one ' + n.type), 'ERROR');
  const stop = notifications.onNotification((n) => heard.push('two ' + n.type), ['ERROR', 'PEER_LEFT']);
  notifications.emit({ type: 'ERROR', message: '', data: { timestamp: 5 } });
  stop();
  notifications.emit({ type: 'PEER_LEFT', message: '', data: {} });
  assert.deepEqual(heard, ['all ERROR', 'one ERROR', 'two ERROR', 'all PEER_LEFT']);
});
