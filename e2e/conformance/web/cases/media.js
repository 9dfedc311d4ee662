// Pictures and sound: what is published, shown, changed.
import { expect, same, sdk, sleep, until } from '../kit.js';

const source = (name) => (track) => track.source === name;
/** A picture that moves, and a tone. */
function canvasTrack() {
  const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 180 });
  const context = canvas.getContext('2d');
  const timer = setInterval(() => {
    context.fillStyle = `hsl(${performance.now() / 10},80%,50%)`;
    context.fillRect(0, 0, 320, 180);
  }, 60);
  const [track] = canvas.captureStream(15).getVideoTracks();
  const stop = track.stop.bind(track);
  track.stop = () => { clearInterval(timer); stop(); };
  return track;
}
function wav(seconds) {
  const rate = 8000, samples = rate * seconds;
  const view = new DataView(new ArrayBuffer(44 + 2 * samples));
  const text = (at, s) => [...s].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  text(0, 'RIFF'); view.setUint32(4, 36 + 2 * samples, true); text(8, 'WAVEfmt ');
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true); view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true); view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  text(36, 'data'); view.setUint32(40, 2 * samples, true);
  for (let i = 0; i < samples; i++) view.setInt16(44 + 2 * i, 8000 * Math.sin(i / 3), true);
  return URL.createObjectURL(new Blob([view], { type: 'audio/wav' }));
}
/** A film of that camera, with a tone: long enough that a busy machine has put a key frame into it. */
async function clip(seconds) {
  const context = new AudioContext();
  const tone = context.createOscillator(), out = context.createMediaStreamDestination();
  tone.connect(out);
  tone.start();
  const track = canvasTrack();
  const recorder = new MediaRecorder(new MediaStream([track, ...out.stream.getAudioTracks()]));
  const parts = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  recorder.start();
  await sleep(1000 * seconds);
  const stopped = new Promise((done) => { recorder.onstop = done; });
  recorder.stop();
  await stopped;
  track.stop();
  await context.close();
  const url = URL.createObjectURL(new Blob(parts, { type: 'video/webm' }));
  const video = Object.assign(document.createElement('video'), { src: url, muted: true });
  if (seconds < 10 && !(await until('the film can be shown', () => video.readyState >= 2, 5000).catch(() => false))) return clip(2 * seconds);
  return url;
}

/** What a playlist does, of one kind. */
async function playlist(kind, url, { ann, vic }) {
  const list = ann.actions[`${kind}Playlist`], select = sdk.selectPeerSharingAudioPlaylist, selectVideo = sdk.selectPeerSharingVideoPlaylist;
  const selectors = kind === 'audio' ? sdk.selectAudioPlaylist : sdk.selectVideoPlaylist;
  list.setList([{ id: 'one', name: 'One', url, type: kind }, { id: 'two', name: 'Two', url, type: kind }]);
  list.setIsAutoplayOn(false);
  same('the list', ann.get(selectors.list).map(({ name }) => name), ['One', 'Two']);
  await list.play('one');
  await ann.until('it plays', () => ann.get(selectors.selectedItem)?.playing);
  const name = `${kind}playlist`;
  const track = await vic.until('the track', () => vic.get(sdk.selectAuxiliaryTracksByPeerID(ann.id)).find((t) => t.source === name && t.type === kind));
  if (kind === 'video') {
    await vic.shows(track.id);
    await vic.until('who shares it', () => vic.get(selectVideo)?.id === ann.id);
  } else {
    await vic.until('who shares it', () => vic.get(select)?.id === ann.id);
    await until('sound arrives', async () => (await vic.inbound(track.id)).totalAudioEnergy > 0);
  }
  list.setVolume(50);
  same('volume', ann.get(selectors.volume), 50);
  list.setPlaybackRate(0.5);
  same('speed', ann.get(selectors.playbackRate), 0.5);
  list.seekTo(0);
  await list.pause();
  await ann.until('paused', () => !ann.get(selectors.selectedItem)?.playing);
  await list.playNext();
  await ann.until('the next', () => ann.get(selectors.selection).id === 'two' && ann.get(selectors.selectedItem).playing);
  await list.playPrevious();
  await ann.until('the one before', () => ann.get(selectors.selection).id === 'one');
  expect('removed', await list.removeItem('two'));
  await list.stop();
  await vic.until('no track', () => !vic.get(sdk.selectAuxiliaryTracksByPeerID(ann.id)).some((t) => t.source === name));
  await list.clearList();
  same('empty', ann.get(selectors.list), []);
}

export const media = {
  name: 'media',
  people: { ann: { role: 'host' }, bob: { role: 'guest' }, vic: { role: 'watcher' } },
  cases: [
    ['attachVideo, detachVideo', async ({ ann, vic }) => {
      await ann.shows(ann.get(sdk.selectLocalVideoTrackID), 2);
      await vic.until('the track', () => vic.videoOf(ann));
      const { id } = vic.videoOf(ann);
      const video = await vic.shows(id);
      await vic.actions.detachVideo(id, video);
      expect('no source', !video.srcObject);
      await vic.actions.attachVideo(id, video);
      await vic.moves(video);
    }],

    ['video starts on request with a key frame; audio flows by default; subscribed is honoured', async ({ ann, enter }) => {
      const wes = await enter('Wes', 'watcher');
      await wes.until('the tracks', () => wes.videoOf(ann) && wes.audioOf(ann));
      const [video, audio] = [wes.videoOf(ann).id, wes.audioOf(ann).id];
      await wes.until('sound without asking', async () => (await wes.inbound(audio)).bytesReceived > 0);
      same('no picture without asking', (await wes.inbound(video)).framesDecoded ?? 0, 0);
      await wes.shows(video);
      expect('a key frame', (await wes.inbound(video)).keyFramesDecoded >= 1);
      await wes.actions.setVolume(0, audio);
      await wes.until('the server was asked to stop', () => wes.channel(audio).sent.some((m) => m.method === 'prefer-audio-track-state' && m.params.subscribed === false));
      await wes.until('no more sound', async () => {
        const before = (await wes.inbound(audio)).packetsReceived;
        await sleep(700);
        return (await wes.inbound(audio)).packetsReceived === before;
      });
      const { packetsReceived } = await wes.inbound(audio);
      await wes.actions.setVolume(100, audio);
      await wes.until('sound again', async () => (await wes.inbound(audio)).packetsReceived > packetsReceived + 10);
    }],

    ['subscribe: offers one at a time, ids of the publisher, numeric mids, data channel that answers', async ({ ann, vic }) => {
      let open = 0;
      for (const { out, method, frame } of vic.wire) {
        if (method === 'offer' && !out) {
          same('offers without an answer', ++open, 1);
          for (const [, mid] of frame.params.sdp.matchAll(/^a=mid:(\S+)/gm)) expect(`mid ${mid}`, /^\d+$/.test(mid));
        } else if (method === 'answer') open--;
      }
      const published = ann.wire.findLast(({ out, method }) => out && method === 'offer').frame.params.tracks;
      same('ids', Object.keys(published).sort(), [vic.audioOf(ann).id, vic.videoOf(ann).id].sort());
      const offers = vic.wire.filter(({ out, method }) => method === 'offer' && !out).map(({ frame }) => frame.params.sdp).join('');
      for (const { stream_id, track_id } of Object.values(published)) expect('msid', offers.includes(`msid:${stream_id} ${track_id}`));
      const channel = vic.channel(vic.videoOf(ann).id);
      same('label', channel.label, 'ion-sfu');
      await vic.until('every request is answered', () => channel.sent.length > 0 && channel.sent.every(({ id }) => channel.got.some((got) => got.id === id)));
      for (const { id } of [ann, vic]) {
        await vic.until('knows how good the line is', () => vic.get(sdk.selectConnectionQualityByPeerID(id))?.downlinkQuality >= 1);
      }
    }],

    ['setLocalAudioEnabled', async ({ ann, bob, vic }) => {
      await ann.actions.setLocalAudioEnabled(false);
      expect('muted', !ann.get(sdk.selectIsLocalAudioEnabled));
      for (const one of [bob, vic]) {
        await one.heard('TRACK_MUTED', (track) => track.peerId === ann.id && track.type === 'audio');
        expect('seen', !one.get(sdk.selectIsPeerAudioEnabled(ann.id)));
      }
      await ann.actions.setLocalAudioEnabled(true);
      await vic.heard('TRACK_UNMUTED', (track) => track.peerId === ann.id && track.type === 'audio');
      await vic.until('it is heard', () => vic.get(sdk.selectIsPeerAudioEnabled(ann.id)));
    }],

    ['setLocalVideoEnabled', async ({ ann, vic }) => {
      const video = await vic.shows(vic.videoOf(ann).id);
      await ann.actions.setLocalVideoEnabled(false);
      expect('muted', !ann.get(sdk.selectIsLocalVideoEnabled));
      await vic.heard('TRACK_MUTED', (track) => track.peerId === ann.id && track.type === 'video');
      await ann.actions.setLocalVideoEnabled(true);
      await vic.heard('TRACK_UNMUTED', (track) => track.peerId === ann.id && track.type === 'video');
      await vic.moves(video);
    }],

    ['setEnabledTrack', async ({ bob, vic }) => {
      const id = bob.get(sdk.selectLocalAudioTrackID);
      await bob.actions.setEnabledTrack(id, false);
      await vic.until('muted', () => vic.audioOf(bob)?.enabled === false);
      await bob.actions.setEnabledTrack(id, true);
      await vic.until('unmuted', () => vic.audioOf(bob).enabled);
    }],

    ['tracks: differences are added and removed; updates go to the others only', async ({ ann, bob, vic }) => {
      const track = canvasTrack();
      await bob.actions.addTrack(track, 'board');
      await vic.heard('TRACK_ADDED', (t) => t.id === track.id);
      await ann.until('others too', () => ann.get(sdk.selectTracksMap)[track.id]);
      const own = bob.wire.filter(({ out, method }) => !out && ['on-track-add', 'on-track-update', 'on-track-remove'].includes(method));
      expect('not of its own', own.every(({ frame }) => frame.params.peer?.peer_id !== bob.id));
      await bob.actions.removeTrack(track.id);
      await vic.heard('TRACK_REMOVED', (t) => t.id === track.id);
    }],

    ['addTrack, removeTrack', async ({ bob, vic }) => {
      const track = canvasTrack();
      await bob.actions.addTrack(track, 'whiteboard');
      const seen = await vic.until('the track', () => vic.get(sdk.selectAuxiliaryTracksByPeerID(bob.id)).find(source('whiteboard')));
      await vic.shows(seen.id);
      await bob.actions.removeTrack(track.id);
      await vic.until('it is gone', () => !vic.get(sdk.selectAuxiliaryTracksByPeerID(bob.id)).some(source('whiteboard')));
    }],

    ['setScreenShareEnabled', async ({ ann, vic }) => {
      await ann.actions.setScreenShareEnabled(true, { videoOnly: true });
      expect('shares', ann.get(sdk.selectIsLocalScreenShared));
      const track = await vic.until('the screen', () => vic.get(sdk.selectScreenShareByPeerID(ann.id)));
      expect('who', vic.get(sdk.selectPeerScreenSharing).id === ann.id && vic.get(sdk.selectIsSomeoneScreenSharing));
      await vic.shows(track.id, 2);
      await ann.actions.setScreenShareEnabled(false);
      await vic.until('it is gone', () => !vic.get(sdk.selectIsSomeoneScreenSharing));
    }],

    ['audioPlaylist', ({ ann, vic }) => playlist('audio', wav(20), { ann, vic })],
    ['videoPlaylist', async ({ ann, vic }) => playlist('video', await clip(4), { ann, vic })],

    ['setPlaylistSettings', async ({ ann }) => {
      ann.actions.setPlaylistSettings({ video: { bitrate: 500 }, audio: { bitrate: 64 } });
      expect('still there', ann.get(sdk.selectIsConnectedToRoom));
    }],

    ['setAudioSettings', async ({ ann, vic }) => {
      const { audioInput } = ann.get(sdk.selectDevices);
      const { deviceId } = audioInput.at(-1);
      await ann.actions.setAudioSettings({ deviceId, volume: 1 });
      await ann.until('the other microphone', () => ann.get(sdk.selectLocalMediaSettings).audioInputDeviceId === deviceId);
      const { id } = vic.audioOf(ann);
      const before = (await vic.inbound(id)).packetsReceived;
      await vic.until('sound goes on', async () => (await vic.inbound(id)).packetsReceived > before + 10);
    }],

    ['setVideoSettings', async ({ ann, vic }) => {
      const video = await vic.shows(vic.videoOf(ann).id);
      const { deviceId } = ann.get(sdk.selectDevices).videoInput.at(-1);
      await ann.actions.setVideoSettings({ deviceId, width: 320, height: 180, maxFramerate: 15 });
      await ann.until('the other camera', () => ann.get(sdk.selectLocalMediaSettings).videoInputDeviceId === deviceId);
      await ann.until('smaller', () => ann.actions.getNativeTrackById(ann.get(sdk.selectLocalVideoTrackID)).getSettings().height <= 180);
      await vic.moves(video);
    }],

    ['switchCamera', async ({ bob, vic }) => {
      const video = await vic.shows(vic.videoOf(bob).id);
      // One of these fake cameras looks to the user, the other away, as on a phone.
      await bob.actions.switchCamera().catch((error) => { if (error.code === undefined) throw error; });
      await vic.moves(video);
    }],

    ['plugins of the video track', async ({ bob, vic }) => {
      let seen = 0;
      const plugin = {
        getName: () => 'test-video', isSupported: () => true, checkSupport: () => ({ isSupported: true }), init: async () => {},
        getPluginType: () => 'TRANSFORM', stop() { seen = -1; },
        processVideoFrame(input, output) {
          seen++;
          Object.assign(output, { width: input.width, height: input.height });
          output.getContext('2d').drawImage(input, 0, 0);
        },
      };
      expect('supported', bob.actions.validateVideoPluginSupport(plugin).isSupported);
      await bob.actions.addPluginToVideoTrack(plugin, 10);
      await until('it gets pictures', () => seen > 3);
      expect('present', bob.get(sdk.selectIsLocalVideoPluginPresent('test-video')));
      await vic.shows(vic.videoOf(bob).id);
      await bob.actions.removePluginFromVideoTrack(plugin);
      await until('it is stopped', () => seen === -1);
      await vic.shows(vic.videoOf(bob).id);
    }],

    ['plugins of the video stream', async ({ bob, vic }) => {
      let given, stopped = false;
      const plugin = {
        getName: () => 'test-stream', checkSupport: () => ({ isSupported: true }),
        apply(stream) { given = stream; return new MediaStream([canvasTrack()]); },
        stop() { stopped = true; },
      };
      await bob.actions.addPluginsToVideoStream([plugin]);
      await until('it gets the stream', () => given?.getVideoTracks().length === 1);
      await vic.shows(vic.videoOf(bob).id);
      await bob.actions.removePluginsFromVideoStream([plugin]);
      await until('it is stopped', () => stopped);
      await vic.shows(vic.videoOf(bob).id);
    }],

    ['plugins of the audio track', async ({ bob, vic }) => {
      let stopped = false, made;
      const plugin = {
        getName: () => 'test-audio', isSupported: () => true, checkSupport: () => ({ isSupported: true }), init() {},
        getPluginType: () => 'TRANSFORM', stop() { stopped = true; },
        async processAudioTrack(context, node) {
          made = context.createGain();
          node.connect(made);
          return made;
        },
      };
      expect('supported', bob.actions.validateAudioPluginSupport(plugin).isSupported);
      await bob.actions.addPluginToAudioTrack(plugin);
      await until('it is in the way', () => made);
      expect('present', bob.get(sdk.selectIsLocalAudioPluginPresent('test-audio')));
      const { id } = vic.audioOf(bob);
      const before = (await vic.inbound(id)).packetsReceived;
      await vic.until('sound goes on', async () => (await vic.inbound(id)).packetsReceived > before + 10);
      await bob.actions.removePluginFromAudioTrack(plugin);
      await until('it is stopped', () => stopped);
    }],

    ['setPreferredLayer', async ({ ann, enter }) => {
      const wes = await enter('Wes', 'watcher');
      await wes.until('the track', () => wes.videoOf(ann));
      const { id } = wes.videoOf(ann);
      const video = await wes.shows(id);
      // Which layers a browser sends depends on the size of its picture; the server sends the nearest, and says so.
      const told = () => wes.channel(id).got.flatMap(({ method, params }) => (method === 'on-track-layer-update' && params.tracks[id] ? [params.tracks[id]] : [])).at(-1);
      const asked = () => wes.channel(id).sent.filter(({ params }) => params.track_id === id); // and not of sound, or of others
      for (const layer of ['low', 'high']) {
        await wes.actions.setPreferredLayer(id, layer);
        await wes.until(`asked for ${layer}`, () => told()?.current_layer === layer || asked().at(-1)?.params.max_spatial_layer === layer);
        await wes.until('answered', () => wes.channel(id).got.some((got) => got.id === asked().at(-1).id && !got.error));
        await wes.until(`told of ${layer}; asked for ${JSON.stringify(asked().map(({ params }) => params.max_spatial_layer))}, told ${JSON.stringify(told())}`, () => told()?.current_layer === layer || told()?.expected_layer === layer);
        await wes.moves(video);
      }
    }],

    ['publish: growing m-lines, simulcast, inactive sections, ICE restart', async ({ ann }) => {
      const track = canvasTrack();
      await ann.actions.addTrack(track, 'extra');
      await ann.actions.removeTrack(track.id);
      const offers = ann.wire.filter(({ out, method }) => out && method === 'offer').map(({ frame }) => frame.params.desc.sdp);
      const sections = offers.map((sdp) => sdp.match(/^m=/gm).length);
      expect(`never fewer sections: ${sections}`, sections.every((n, i) => i === 0 || n >= sections[i - 1]) && sections.at(-1) > sections[0]);
      expect('inactive', offers.at(-1).includes('a=inactive'));
      for (const { id } of ann.wire.filter(({ out, method }) => out && method === 'offer')) {
        const answer = ann.wire.find((frame) => !frame.out && frame.id === id);
        expect('answered', answer?.frame.result?.type === 'answer');
      }
      expect('simulcast', offers.some((sdp) => sdp.includes('a=simulcast:send')));
      expect('simulcast is taken', ann.wire.some(({ out, frame }) => !out && frame?.result?.sdp?.includes('a=simulcast:recv')));
    }],

    ['setVolume', async ({ ann, vic }) => {
      const { id } = vic.audioOf(ann);
      await vic.actions.setVolume(30, id);
      same('of a track', vic.get(sdk.selectAudioTrackVolume(id)), 30);
      await vic.actions.setVolume(80);
      await vic.until('of all', () => vic.get(sdk.selectAudioTrackVolume(id)) === 80);
      await vic.actions.setVolume(100);
    }],

    ['setAudioOutputDevice', async ({ vic }) => {
      const { audioOutput } = vic.get(sdk.selectDevices);
      await vic.actions.setAudioOutputDevice(audioOutput.at(-1).deviceId);
      await vic.until('chosen', () => vic.get(sdk.selectLocalMediaSettings).audioOutputDeviceId === audioOutput.at(-1).deviceId);
    }],

    ['refreshDevices, autoSelectAudioOutput', async ({ ann }) => {
      await ann.actions.refreshDevices();
      const { audioInput, videoInput } = ann.get(sdk.selectDevices);
      expect('devices', audioInput.length > 0 && videoInput.length > 0 && videoInput[0].label);
      await ann.actions.autoSelectAudioOutput(0);
    }],

    ['unblockAudio', async ({ vic }) => {
      await vic.actions.unblockAudio();
      expect('sound plays', [...document.querySelectorAll('audio')].some((audio) => audio.srcObject && !audio.paused));
    }],

    ['getNativeTrackById, getTrackById, getDebugInfo, hasActiveElements', async ({ ann, vic }) => {
      const { id } = vic.videoOf(ann);
      expect('native', vic.actions.getNativeTrackById(id) instanceof MediaStreamTrack);
      expect('track', vic.actions.getTrackById(id));
      const info = vic.actions.getDebugInfo();
      expect(`debug info: ${JSON.stringify(info)}`, /^wss?:/.test(info.websocketURL) && info.enabledFlags.length && info.initEndpoint);
      expect('shown', typeof vic.actions.hasActiveElements(vic.hms.getStats()) === 'boolean');
    }],

    ['preview({asRole}) in a call, cancelMidCallPreview', async ({ ann, vic }) => {
      await vic.actions.preview({ asRole: 'guest' });
      await vic.until('its preview role', () => vic.get(sdk.selectPreviewRole)?.name === 'guest');
      await vic.until('a picture', () => vic.get(sdk.selectLocalVideoTrackID));
      await vic.shows(vic.get(sdk.selectLocalVideoTrackID), 2);
      expect('nobody sees it', !ann.videoOf(vic));
      await vic.actions.cancelMidCallPreview();
      await vic.until('as before', () => !vic.get(sdk.selectPreviewRole) && vic.get(sdk.selectLocalPeerRoleName) === 'watcher');
    }],
  ],
};
