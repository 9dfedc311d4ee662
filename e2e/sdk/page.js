// A client made of the unmodified 100ms SDK: what its user's app would do, as functions of the global SDK.
import {
  HMSReactiveStore, selectHLSState, selectHMSMessages, selectIsConnectedToRoom, selectLocalAudioTrackID, selectLocalPeer,
  selectLocalVideoTrackID, selectPeers, selectRoleChangeRequest, selectVideoTrackByPeerID,
} from '@100mslive/hms-video-store';

const hms = new HMSReactiveStore();
hms.triggerOnSubscribe();
const actions = hms.getActions();
const store = hms.getStore();

const errors = [];
hms.getNotifications().onNotification(({ type, data }) => {
  if (type === 'ERROR') errors.push(`${data.code} ${data.action}: ${data.message} ${data.description}`);
});

const peer = (name) => store.getState(selectPeers).find((peer) => peer.name === name);

globalThis.SDK = {
  errors: () => errors,

  /** Enters by a room code of a server without TLS: the SDK wants to see https:// somewhere in the address. */
  async join(origin, roomCode, userName) {
    const authToken = await actions.getAuthTokenByRoomCode({ roomCode }, { endpoint: `${origin}/v2/token` });
    await actions.join({ authToken, userName, initEndpoint: `${origin}/#https://local` });
  },
  connected: () => store.getState(selectIsConnectedToRoom),
  leave: () => actions.leave(),
  role: () => store.getState(selectLocalPeer)?.roleName,
  peer: (name) => {
    const found = peer(name);
    return found && { role: found.roleName, hand: Boolean(found.isHandRaised) };
  },

  /** Shows somebody's camera in a <video> with their name as its id. */
  async show(name) {
    const video = document.getElementById(name) ?? document.createElement('video');
    Object.assign(video, { id: name, muted: true, autoplay: true, playsInline: true });
    document.body.append(video);
    await actions.attachVideo(store.getState(selectVideoTrackByPeerID(peer(name).id)).id, video);
  },
  hasVideo: (name) => Boolean(peer(name) && store.getState(selectVideoTrackByPeerID(peer(name).id))),

  say: (text) => actions.sendBroadcastMessage(text),
  messages: () => store.getState(selectHMSMessages).map((message) => `${message.senderName}: ${message.message}`),

  changeRole: (name, role) => actions.changeRoleOfPeer(peer(name).id, role, true),
  roleRequest: () => store.getState(selectRoleChangeRequest)?.role?.name,
  publishes: () => Boolean(store.getState(selectLocalAudioTrackID) && store.getState(selectLocalVideoTrackID)),
  /** The SDK publishes what a promoted person may, but muted. */
  async unmute() {
    await actions.setLocalVideoEnabled(true);
    await actions.setLocalAudioEnabled(true);
  },
  acceptRole: () => actions.acceptChangeRole(store.getState(selectRoleChangeRequest)),

  goLive: () => actions.startHLSStreaming(),
  endLive: () => actions.stopHLSStreaming(),
  live: () => {
    const { running, variants } = store.getState(selectHLSState);
    return { running: Boolean(running), url: variants?.[0]?.url ?? '' };
  },
};
