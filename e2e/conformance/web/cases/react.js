// An application with the hooks of @100mslive/react-sdk: its user is Rea, who meets Ann.
import { createElement as h, useEffect } from 'react';
import { createRoot } from 'react-dom/client';
import * as hooks from '@100mslive/react-sdk';
import { expect, same, sdk, until } from '../kit.js';

const seen = {}; // what the hooks return at the moment

function Tile({ trackId }) {
  const { videoRef } = hooks.useVideo({ trackId });
  return h('video', { ref: videoRef, autoPlay: true, muted: true, playsInline: true, 'data-track': trackId, style: { width: 240, height: 135 } });
}

function App({ config }) {
  seen.join = hooks.usePreviewJoin(config);
  seen.toggles = hooks.useAVToggle();
  seen.people = hooks.useParticipants();
  seen.streaming = hooks.useRecordingStreaming();
  seen.screen = hooks.useScreenShare();
  seen.devices = hooks.useDevices();
  seen.paged = hooks.usePaginatedParticipants({ limit: 1 });
  seen.roleName = hooks.useHMSStore(sdk.selectLocalPeerRoleName);
  seen.actions = hooks.useHMSActions();
  seen.notification = hooks.useHMSNotifications('NEW_MESSAGE');
  seen.custom = hooks.useCustomEvent({ type: 'wave', onEvent: (data) => (seen.events ??= []).push(data) });
  const peers = hooks.useHMSStore(sdk.selectRemotePeers);
  const { pagesWithTiles } = hooks.useVideoList({ peers, maxTileCount: 4 });
  useEffect(() => { seen.mounted = true; }, []);
  const tiles = pagesWithTiles.flat().filter(({ track }) => track?.id);
  return h('div', null, tiles.map(({ track }) => h(Tile, { key: track.id, trackId: track.id })));
}

export const react = {
  name: 'react',
  people: { ann: { role: 'host' } },
  cases: [
    ['react-sdk: previews and joins, toggles, lists, shows videos, sends events', async ({ ann, env }) => {
      const token = await ann.actions.getAuthTokenByRoomCode({ roomCode: env.codes.guest }, { endpoint: `${env.server}/v2/token` });
      const config = { name: 'Rea', token, initEndpoint: `${env.server}/#https://local` };
      const root = createRoot(document.body.appendChild(document.createElement('div')));
      root.render(h(hooks.HMSRoomProvider, null, h(App, { config })));
      await until('it is there', () => seen.mounted);
      await seen.join.preview();
      await until('may join', () => seen.join.enableJoin && seen.roleName === 'guest');
      await seen.join.join();
      await until('is in', () => seen.join.isConnected);
      const rea = await ann.until('sees Rea', () => ann.get(sdk.selectRemotePeers).find(({ name }) => name === 'Rea'));
      same('together', seen.people.participants.map(({ name }) => name).sort(), ['Ann', 'Rea']);
      same('counted', seen.people.peerCount, 2);

      const video = await until('Ann’s tile', () => document.querySelector(`video[data-track="${ann.get(sdk.selectLocalVideoTrackID)}"]`));
      await ann.moves(video);

      seen.toggles.toggleAudio();
      await ann.until('muted', () => ann.get(sdk.selectAudioTrackByPeerID(rea.id))?.enabled === false);
      await until('knows it', () => !seen.toggles.isLocalAudioEnabled);
      seen.toggles.toggleVideo();
      await ann.until('no picture', () => ann.get(sdk.selectVideoTrackByPeerID(rea.id))?.enabled === false);
      seen.toggles.toggleVideo();
      await ann.until('a picture', () => ann.get(sdk.selectVideoTrackByPeerID(rea.id)).enabled);

      seen.custom.sendEvent({ hand: 'left' });
      await ann.heard('NEW_MESSAGE', ({ type, message }) => type === 'wave' && JSON.parse(message).hand === 'left');
      await ann.actions.sendBroadcastMessage('{"hand":"right"}', 'wave');
      await until('the answer', () => seen.events?.some(({ hand }) => hand === 'right'));
      await ann.actions.sendBroadcastMessage('hi');
      await until('a notification', () => seen.notification?.data.message === 'hi');
      expect('devices', seen.devices.allDevices.videoInput.length > 0 && seen.devices.selectedDeviceIDs.videoInput);
      expect('nothing is streamed', !seen.streaming.isStreamingOn && !seen.streaming.isRecordingOn);
      expect('nobody shares', !seen.screen.amIScreenSharing);
      await seen.actions.leave();
      await ann.heard('PEER_LEFT', ({ id }) => id === rea.id);
      root.unmount();
    }],
  ],
};
