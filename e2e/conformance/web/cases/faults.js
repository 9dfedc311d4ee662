// Trouble: networks that go away, half-open sockets, a server that dies, a machine that sleeps. In each room Ann stays
// and Vic is hit; the call must come back by itself, with what was said meanwhile, or say that it is over.
import { expect, same, sdk, sleep } from '../kit.js';

const lane = ({ name }, what) => fetch(`/lanes/${name}-vic/${what}`, { method: 'POST' });
/** What somebody read of another. A message that the old socket brought at last comes twice, with the same id. */
const said = (person, by) => [...new Map(person.get(sdk.selectHMSMessages).filter(({ sender }) => sender === by.id)
  .map(({ id, message }) => [id, message])).values()];
/** The most that coming back may take once nothing is in the way. */
const back = 45_000;

/** Sound arrives, now. */
async function hears(one, other) {
  await one.until(`has the sound of ${other.name}`, () => one.audioOf(other), back);
  const before = (await one.inbound(one.audioOf(other).id)).packetsReceived;
  await one.until(`hears ${other.name}`, async () => (await one.inbound(one.audioOf(other).id)).packetsReceived > before + 5, back);
}

/** Pictures arrive, now. */
async function watches(one, other) {
  await one.until(`has the picture of ${other.name}`, () => one.videoOf(other), back);
  const video = await one.shows(one.videoOf(other).id, 5, back);
  await one.actions.detachVideo(one.videoOf(other).id, video);
  video.remove();
}

/** Vic sees and hears Ann, Ann hears Vic, both read each other: now. */
async function together(ann, vic) {
  await watches(vic, ann);
  for (const [one, other] of [[ann, vic], [vic, ann]]) {
    await hears(one, other);
    const text = `hello ${Math.random()}`;
    await other.actions.sendBroadcastMessage(text);
    await one.until(`reads ${other.name}`, () => said(one, other).includes(text));
  }
}

const missed = ['did you hear', 'what I said', 'in between'];

/** What is true when somebody has come back. */
async function restored(ann, vic) {
  await vic.until(`is connected; is ${vic.get(sdk.selectRoomState)}`, () => vic.get(sdk.selectRoomState) === 'Connected', back);
  await vic.until(`has read what was missed; read ${said(vic, ann)}`, () => missed.every((text) => said(vic, ann).includes(text)), back);
  same('each once, in order', said(vic, ann).filter((text) => missed.includes(text)), missed);
  await together(ann, vic);
  expect('no terminal error', !vic.told.some(({ type, data }) => type === 'ERROR' && data.isTerminal));
}

/** Vic is cut off by what trouble does, until it is over. */
const survives = (trouble) => async ({ ann, vic, env }) => {
  await together(ann, vic);
  const over = trouble(env, vic);
  await sleep(1500);
  for (const text of missed) await ann.actions.sendBroadcastMessage(text);
  await over;
  await restored(ann, vic);
};

const cut = (ms) => survives(async (env) => {
  await lane(env, 'cut/all');
  await sleep(ms);
  await lane(env, 'mend');
});

const people = { ann: { role: 'small' }, vic: { role: 'voice' } };

// The longest begin first.
export const faults = [
  {
    name: 'cutoff', people, lanes: ['vic'],
    cases: [['network cut for good: the client says so after a minute', async ({ ann, vic, env }) => {
      await together(ann, vic);
      const began = performance.now();
      await lane(env, 'unplug');
      await vic.heard('RECONNECTING', () => true, 60_000);
      const { data } = await vic.heard('ERROR', ({ isTerminal }) => isTerminal, 120_000);
      expect(`after ${Math.round(performance.now() - began)} ms`, performance.now() - began >= 55_000);
      expect(`which error: ${data.code} ${data.message}`, data.code && data.message);
      await vic.until('is out', () => ['Disconnected', 'Failed'].includes(vic.get(sdk.selectRoomState)));
      await ann.until('knows it', () => !ann.sees(vic));
    }]],
  },
  { name: 'cut50', people, lanes: ['vic'], cases: [['network cut for 50 s', cut(50_000)]] },
  // Two machines: the test puts Vic's to sleep, between the cases.
  {
    name: 'awake', people: { ann: { role: 'small' } },
    cases: [
      ['Ann meets who will sleep', async (world) => { await world.ann.until('sees Vic', () => found(world.ann)); }],
      ['Ann talks to who sleeps', async ({ ann }) => { for (const text of missed) await ann.actions.sendBroadcastMessage(text); }],
      ['Ann sees who slept', async ({ ann }) => {
        await hears(ann, await ann.until('sees Vic', () => found(ann), back));
      }],
    ],
  },
  {
    name: 'asleep', people: { vic: { role: 'voice' } },
    cases: [
      ['Vic meets Ann', async ({ vic }) => {
        await watches(vic, await vic.until('sees Ann', () => found(vic)));
      }],
      ['Vic wakes up', async ({ vic }) => {
        await vic.until('is connected', () => vic.get(sdk.selectRoomState) === 'Connected', back);
        const ann = await vic.until('sees Ann', () => found(vic), back);
        await vic.until('has read what was missed', () => missed.every((text) => said(vic, ann).includes(text)), back);
        same('each once, in order', said(vic, ann).filter((text) => missed.includes(text)), missed);
        await watches(vic, ann);
      }],
    ],
  },
  {
    name: 'halfopen', people, lanes: ['vic'],
    cases: [['half-open socket', survives(async (env, vic) => {
      await lane(env, 'strand');
      await vic.heard('RECONNECTING', () => true, 60_000);
      await vic.heard('RECONNECTED', () => true, 60_000);
    })]],
  },
  { name: 'cut10', people, lanes: ['vic'], cases: [['network cut for 10 s', cut(10_000)]] },
  {
    name: 'restart', people,
    cases: [['server killed and started again', async ({ ann, vic, env }) => {
      await together(ann, vic);
      await ann.actions.sendBroadcastMessage('before');
      await ann.actions.changeMetadata('kept');
      expect('the server is back', (await fetch(`/server/restart/${env.name}`, { method: 'POST' })).ok);
      for (const one of [ann, vic]) await one.heard('RECONNECTED', () => true, 60_000);
      await together(ann, vic);
      same('who they are', [vic.sees(ann).metadata, ann.sees(vic).name], ['kept', 'Vic']);
      for (const one of [ann, vic]) {
        expect('no terminal error', !one.told.some(({ type, data }) => type === 'ERROR' && data.isTerminal));
        // The media is made anew as if it had moved to another node.
        const node = one.wire.findLast(({ out, method }) => !out && method === 'node-info').frame.params.sfu_node_id;
        const moved = one.wire.find(({ out, method, frame }) => out && method === 'offer' && frame.params.sfu_node_id === node);
        expect('an offer to the new node is answered', one.wire.find(({ out, id }) => !out && id === moved.id).frame.result.type === 'answer');
        same('no second join', one.wire.filter(({ out, method }) => out && method === 'join').length, 1);
      }
    }]],
  },
];

/** The other one, who is in another page. */
const found = (person) => person.get(sdk.selectRemotePeers)[0];
