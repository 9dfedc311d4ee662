// A network that goes away and comes back. Each of the people here reaches the server over a lane of their own, which
// the test cuts: nothing arrives, and nothing is closed.
import { parts } from '../exclusions.js';
import { expect, same, sdk, sleep } from '../kit.js';

/** Cuts somebody's lane for so long. */
async function cut(person, what, ms) {
  const lane = (path) => fetch(`/lanes/${person.env.name}-${person.name.toLowerCase()}/${path}`, { method: 'POST' });
  await lane(`cut/${what}`);
  await sleep(ms);
  await lane('mend');
}

async function socketCut(ms, { ann, victim, enter }) {
  await victim.until('sees Ann', () => victim.videoOf(ann));
  const leaver = await enter('Leaver', 'gallery');
  await victim.knows(leaver);
  const gone = cut(victim, 'socket', ms);
  await sleep(500);
  const leaverID = leaver.id;
  await leaver.leave();
  const comer = await enter('Comer', 'gallery');
  await ann.actions.setLocalAudioEnabled(false);
  await victim.actions.setLocalVideoEnabled(false); // nobody hears of it now
  await gone;
  await victim.until('is connected', () => victim.get(sdk.selectRoomState) === 'Connected' && victim.sees(comer), 40_000);
  await victim.until('knows who left', () => !victim.get(sdk.selectPeerByID(leaverID)));
  await victim.until('knows who is muted', () => victim.audioOf(ann)?.enabled === false);
  await ann.until('still knows the victim', () => ann.sees(victim) && ann.videoOf(victim)?.enabled === false);
  await ann.actions.setLocalAudioEnabled(true);
  await victim.until('hears what follows', () => victim.audioOf(ann).enabled);
  await victim.actions.setLocalVideoEnabled(true);
  await ann.until('a picture', () => ann.videoOf(victim).enabled);
  await ann.shows(ann.videoOf(victim).id);
  await victim.shows(victim.videoOf(ann).id);
  expect('no terminal error', !victim.told.some(({ type, data }) => type === 'ERROR' && data.isTerminal));
  same('one join', victim.wire.filter(({ out, method }) => out && method === 'join').length, 1);
}

export const cuts = {
  name: 'cuts',
  people: { ann: { role: 'host' }, five: { role: 'guest' }, long: { role: 'guest' }, deaf: { role: 'guest' } },
  lanes: ['five', 'long', 'deaf'],
  cases: [
    ['socket cut for 5 s and for 30 s: the call goes on, mute state and missed joins and leaves are right', async (world) => {
      await socketCut(5000, { ...world, victim: world.five });
      await socketCut(30_000, { ...world, victim: world.long });
    }],

    ['subscribe path cut: the server restarts ICE', async ({ ann, deaf }) => {
      await deaf.until('sees Ann', () => deaf.videoOf(ann));
      await deaf.shows(deaf.videoOf(ann).id);
      const password = (sdp) => /^a=ice-pwd:(\S+)/m.exec(sdp)[1];
      const offers = () => deaf.wire.filter(({ out, method }) => !out && method === 'offer').map(({ frame }) => password(frame.params.sdp));
      const published = () => deaf.wire.filter(({ out, method }) => out && method === 'offer').map(({ frame }) => password(frame.params.desc.sdp));
      const [before, publishedBefore] = [offers().at(-1), published().at(-1)];
      await cut(deaf, 'media', 15_000); // both sides give the path up after 5 to 10 s
      await deaf.until('new credentials of the server', () => offers().at(-1) !== before, 40_000);
      await deaf.until('new credentials of the client', () => published().at(-1) !== publishedBefore, 40_000);
      await deaf.until('is connected', () => deaf.get(sdk.selectRoomState) === 'Connected', 40_000);
      await deaf.shows(deaf.videoOf(ann).id);
      await ann.shows(ann.videoOf(deaf).id);
    }],

    ['node-info: migration to another node', async ({ ann }) => {
      expect('a node is named', ann.wire.some(({ frame }) => frame?.result?.sfu_node_id));
      return parts.migration;
    }],
  ],
};
