// Two browsers in one room: Fox is in the one, Kim in the other.
import { HMSHLSPlayer } from '@100mslive/hls-player';
import { sdk, until } from '../kit.js';

/** The other one sees, hears and reads this one. */
async function meets(one, greeting) {
  const other = await one.until('sees the other', () => one.get(sdk.selectRemotePeers)[0]);
  await one.until('has the tracks', () => one.videoOf(other) && one.audioOf(other));
  await one.shows(one.videoOf(other).id, 30);
  // Statistics are as old as the browser likes: what is on the screen may not be counted yet.
  await one.until('decoded', async () => (await one.inbound(one.videoOf(other).id)).framesDecoded >= 30);
  await one.until('sound', async () => (await one.inbound(one.audioOf(other).id)).packetsReceived > 20);
  await one.actions.sendBroadcastMessage(greeting);
  await one.until('reads the other', () => one.get(sdk.selectHMSMessages).some(({ sender }) => sender === other.id));
}

export const browsers = [
  {
    name: 'fox', people: { fox: { role: 'host' } },
    cases: [
      ['Firefox joins, publishes, sees and hears Chromium', ({ fox }) => meets(fox, 'from Firefox')],
      ['Firefox mutes and goes on', async ({ fox }) => {
        await fox.actions.setLocalVideoEnabled(false);
        await fox.actions.setLocalVideoEnabled(true);
        await fox.actions.setLocalAudioEnabled(false);
      }],
      ['Firefox goes live and plays the stream', async ({ fox }) => {
        await fox.actions.startHLSStreaming();
        await fox.until('it runs', () => fox.get(sdk.selectHLSState).running && fox.get(sdk.selectHLSState).variants[0]?.url, 30_000);
        const video = fox.element();
        const player = new HMSHLSPlayer(fox.get(sdk.selectHLSState).variants[0].url, video);
        await until('it can be played', () => player.play().then(() => true), 30_000);
        await fox.moves(video, 30, 40_000);
        player.reset();
        await fox.actions.stopHLSStreaming();
      }],
    ],
  },
  {
    name: 'kim', people: { kim: { role: 'guest' } },
    cases: [
      ['Chromium sees and hears Firefox', ({ kim }) => meets(kim, 'from Chromium')],
      ['Chromium sees Firefox after it muted', async ({ kim }) => {
        const fox = kim.get(sdk.selectRemotePeers)[0];
        await kim.until('no sound', () => kim.audioOf(fox).enabled === false && kim.videoOf(fox).enabled);
        await kim.shows(kim.videoOf(fox).id, 10);
      }],
    ],
  },
];
