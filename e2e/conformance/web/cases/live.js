// The composed stream: started, watched with the player, ended; recordings and pushes.
import { HLSPlaybackState, HMSHLSPlayer, HMSHLSPlayerEvents } from '@100mslive/hls-player';
import { parts } from '../exclusions.js';
import { expect, refused, same, sdk, until } from '../kit.js';

const hls = (person) => person.get(sdk.selectHLSState);
let player;

export const live = {
  name: 'live',
  people: { ann: { role: 'host' }, gil: { role: 'gallery' } },
  cases: [
    ['startHLSStreaming, stopHLSStreaming', async ({ ann, gil }) => {
      await refused('by who may not', gil.actions.startHLSStreaming(), 403);
      await ann.actions.startHLSStreaming();
      await gil.until('it runs', () => hls(gil).running);
      await refused('a second time', ann.actions.startHLSStreaming());
      await ann.actions.stopHLSStreaming();
      for (const one of [ann, gil]) await one.until('it is over', () => !hls(one).running);
    }],

    ['HLS: initialised, started, stopped; state for who comes late; on-record-update', async ({ ann, gil, enter }) => {
      await ann.actions.startHLSStreaming({ recording: { hlsVod: true, singleFilePerLayer: true } });
      for (const one of [ann, gil]) {
        await one.until('started', () => hls(one).running && hls(one).variants[0]?.state === 'started');
        const [variant] = hls(one).variants;
        expect('since when', variant.startedAt instanceof Date && new URL(variant.url).pathname.endsWith('m3u8'));
      }
      const updates = gil.wire.filter(({ method }) => method === 'on-hls-update').map(({ frame }) => frame.params.variants[0]?.state);
      expect(`states: ${updates}`, updates.includes('initialised') && updates.at(-1) === 'started');
      const late = await enter('Late', 'gallery');
      same('who comes late', hls(late).variants[0].url, hls(gil).variants[0].url);
      expect('knows that it runs', hls(late).running);
      const recorded = gil.wire.some(({ method, frame }) => method === 'on-record-update' && frame.params.type === 'HLS');
      if (!recorded) return parts.vod;
      await gil.until('it is recorded', () => gil.get(sdk.selectRecordingState).hls.running);
      expect('who comes late knows it', late.get(sdk.selectRecordingState).hls.running);
    }],

    ['hls-player: plays, knows its layers, tells timed metadata', async ({ gil }) => {
      const video = gil.element();
      player = new HMSHLSPlayer(hls(gil).variants[0].url, video);
      const told = Object.fromEntries(Object.values(HMSHLSPlayerEvents).map((name) => [name, []]));
      for (const [name, list] of Object.entries(told)) player.on(name, (event) => list.push(event));
      await until('the playlist is loaded', () => told['manifest-loaded'][0]?.layers.length > 0);
      await player.play();
      await gil.moves(video, 20);
      expect('supported', HMSHLSPlayer.isSupported());
      expect('it says so', told['playback-state'].some(({ state }) => state === HLSPlaybackState.playing));
      expect('the time', told['current-time'].length > 0);
      player.setVolume(40);
      same('volume', player.volume, 40);
      player.setLayer(told['manifest-loaded'][0].layers[0]);
      player.pause();
      await until('paused', () => video.paused);
      await player.seekToLivePosition();
      await player.play();
      await gil.moves(video, 10);
      player.told = told;
    }],

    ['sendHLSTimedMetadata', async ({ ann, gil }) => {
      await refused('by who may not', gil.actions.sendHLSTimedMetadata([{ payload: 'no', duration: 1 }]), 403);
      await ann.actions.sendHLSTimedMetadata([{ payload: 'poll:p1', duration: 2 }]);
      const cue = await until('the cue', () => player.told['timed-metadata'].find(({ payload }) => payload === 'poll:p1'), 30_000);
      same('as sent', [cue.duration, cue.endDate - cue.startDate], [2000, 2000]);
      expect('an id', cue.id);
      player.reset();
      await ann.actions.stopHLSStreaming();
      await gil.until('it is over', () => !hls(gil).running && !gil.get(sdk.selectRecordingState).hls?.running);
    }],

    ['startRTMPOrRecording, stopRTMPAndRecording', async ({ ann, gil }) => {
      await refused('by who may not', gil.actions.startRTMPOrRecording({ meetingURL: 'https://meet.example/x', record: true }), 403);
      const state = () => gil.get(sdk.selectRecordingState).browser;
      await ann.actions.startRTMPOrRecording({ record: true });
      await gil.until('it is recorded, or why not', () => state()?.error?.code || state()?.startedAt);
      const running = !state().error?.code;
      if (running) {
        await ann.actions.stopRTMPAndRecording();
        await gil.until('it is over', () => !state().running);
      } else {
        await refused('stopping what does not run', ann.actions.stopRTMPAndRecording());
      }
      expect('no push', !gil.get(sdk.selectRTMPState).running);
      if (!running) return parts.recording;
    }],
  ],
};
