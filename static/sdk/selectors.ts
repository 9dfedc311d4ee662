// Selectors: pure functions of the state, with the names and results of @100mslive/hms-video-store.
//
// One that makes an array or object remembers its last result while its inputs are the same objects, so that
// comparing with === tells whether something changed.

import type {
  HMSConnectionQuality, HMSException, HMSGenericTypes, HMSMessage, HMSPeer, HMSPermissions, HMSPoll, HMSPublishAllowed, HMSRole,
  HMSRoleChangeRequest, HMSScreenAudioTrack, HMSScreenVideoTrack, HMSSpeaker, HMSStore, HMSTrack, HMSTrackID, HMSVideoTrack, HMSAudioTrack,
  StoreSelector,
} from './types.js';
import { byID, derive, isDefined } from './select.js';
import { HMSRoomState } from './types.js';

// Room

export const selectRoom = (store: HMSStore) => store.room;
export const selectRoomID = (store: HMSStore) => store.room.id;
export const selectRoomState = (store: HMSStore) => store.room.roomState;
export const selectIsConnectedToRoom = (store: HMSStore) => store.room.isConnected;
export const selectIsInPreview = (store: HMSStore) => store.room.roomState === HMSRoomState.Preview;
export const selectRoomStarted = (store: HMSStore) => store.room.roomState !== HMSRoomState.Disconnected;
export const selectSessionId = (store: HMSStore) => store.room.sessionId;
export const selectRoomStartTime = (store: HMSStore) => store.room.startedAt;
export const selectIsLargeRoom = (store: HMSStore) => !!store.room.isLargeRoom;
export const selectHLSState = (store: HMSStore) => store.room.hls;
export const selectRTMPState = (store: HMSStore) => store.room.rtmp;
export const selectRecordingState = (store: HMSStore) => store.room.recording;
export const selectErrors = (store: HMSStore) => store.errors;
export const selectRecentError = (store: HMSStore): HMSException | null => store.errors.at(-1) ?? null;
export const selectTemplateAppData = (store: HMSStore) => store.templateAppData;

/** A value of the session store that is observed, or with no key all of them. */
export function selectSessionStore<T extends HMSGenericTypes = HMSGenericTypes>(): (store: HMSStore) => T['sessionStore'] | undefined;
export function selectSessionStore<T extends HMSGenericTypes = HMSGenericTypes,
  K extends keyof T['sessionStore'] = keyof T['sessionStore']>(key: K): (store: HMSStore) => T['sessionStore'][K] | undefined;
export function selectSessionStore(key?: string): (store: HMSStore) => unknown {
  return key === undefined ? (store) => store.sessionStore : (store) => store.sessionStore[key];
}

// Polls

export const selectPollsMap = (store: HMSStore) => store.polls;
export const selectPolls = derive([selectPollsMap], (polls): HMSPoll[] => Object.values(polls));
export const selectPollByID = byID((id) => (store): HMSPoll | null => (id && store.polls[id]) || null);

// Devices

export const selectDevices = (store: HMSStore) => store.devices;
export const selectLocalMediaSettings = (store: HMSStore) => store.settings;

// Peers

export const selectPeersMap = (store: HMSStore) => store.peers;
export const selectTracksMap = (store: HMSStore) => store.tracks;
export const selectLocalPeerID = (store: HMSStore) => store.room.localPeer;
const selectPeerIDs = (store: HMSStore) => store.room.peers;

export const selectPeers = derive([selectPeerIDs, selectPeersMap], (ids, peers): HMSPeer[] =>
  ids.map((id) => peers[id]).filter(isDefined));
export const selectRemotePeers = derive([selectPeers], (peers): HMSPeer[] => peers.filter((peer) => !peer.isLocal));
export const selectLocalPeer = (store: HMSStore): HMSPeer | undefined => store.peers[store.room.localPeer];
export const selectLocalPeerName = (store: HMSStore) => selectLocalPeer(store)?.name;
export const selectLocalPeerRoleName = (store: HMSStore) => selectLocalPeer(store)?.roleName;
export const selectPeerCount = (store: HMSStore): number =>
  store.room.isConnected && store.room.peerCount !== undefined ? store.room.peerCount : store.room.peers.length;
export const selectHandRaisedPeers = derive([selectPeers], (peers): HMSPeer[] => peers.filter((peer) => peer.isHandRaised));

export const selectPeerByID = byID((id) => (store): HMSPeer | null => (id && store.peers[id]) || null);
export const selectPeerNameByID = byID((id) => (store) => selectPeerByID(id)(store)?.name);
export const selectPeerTypeByID = byID((id) => (store) => selectPeerByID(id)(store)?.type);
export const selectHasPeerHandRaised = byID((id) => (store) => !!selectPeerByID(id)(store)?.isHandRaised);
export const selectPeerMetadata = byID((id) => derive(
  [(store: HMSStore) => selectPeerByID(id)(store)?.metadata],
  (metadata): Record<string, unknown> => {
    try {
      const value: unknown = metadata ? JSON.parse(metadata) : {};
      return value && typeof value === 'object' ? (value as Record<string, unknown>) : {};
    } catch {
      return {};
    }
  }));
export const selectPeersByRole = byID((role) => derive([selectPeers], (peers): HMSPeer[] =>
  peers.filter((peer) => peer.roleName === role)));
export const selectConnectionQualities = (store: HMSStore) => store.connectionQualities;
export const selectConnectionQualityByPeerID = byID((id) => (store): HMSConnectionQuality | undefined =>
  id ? store.connectionQualities[id] : undefined);

// Tracks

export const selectTrackByID = byID((id) => (store): HMSTrack | null => (id && store.tracks[id]) || null);
const trackOf = (store: HMSStore, id: HMSTrackID | undefined): HMSTrack | undefined => (id ? store.tracks[id] : undefined);
const auxiliary = (store: HMSStore, peer: string | undefined, test: (track: HMSTrack) => boolean): HMSTrack | undefined =>
  (peer ? store.peers[peer]?.auxiliaryTracks ?? [] : []).map((id) => store.tracks[id]).filter(isDefined).find(test);

export const selectVideoTrackByPeerID = byID((id) => (store) =>
  trackOf(store, id ? store.peers[id]?.videoTrack : undefined) as HMSVideoTrack | undefined);
export const selectCameraStreamByPeerID = selectVideoTrackByPeerID;
export const selectAudioTrackByPeerID = byID((id) => (store) =>
  trackOf(store, id ? store.peers[id]?.audioTrack : undefined) as HMSAudioTrack | undefined);
export const selectAuxiliaryTracksByPeerID = byID((id) => derive(
  [(store: HMSStore) => (id ? store.peers[id]?.auxiliaryTracks : undefined), selectTracksMap],
  (ids, tracks): HMSTrack[] => (ids ?? []).map((track) => tracks[track]).filter(isDefined)));
export const selectScreenShareByPeerID = byID((id) => (store) =>
  auxiliary(store, id, (track) => track.type === 'video' && track.source === 'screen') as HMSScreenVideoTrack); // undefined if there is none, as in the original
export const selectScreenShareAudioByPeerID = byID((id) => (store) =>
  auxiliary(store, id, (track) => track.type === 'audio' && track.source === 'screen') as HMSScreenAudioTrack);
export const selectIsPeerAudioEnabled = byID((id) => (store) => !!selectAudioTrackByPeerID(id)(store)?.enabled);
export const selectIsPeerVideoEnabled = byID((id) => (store) => !!selectVideoTrackByPeerID(id)(store)?.enabled);
export const selectIsLocalAudioEnabled = (store: HMSStore) => selectIsPeerAudioEnabled(store.room.localPeer)(store);
export const selectIsLocalVideoEnabled = (store: HMSStore) => selectIsPeerVideoEnabled(store.room.localPeer)(store);
export const selectIsLocalVideoDisplayEnabled = (store: HMSStore) =>
  selectVideoTrackByPeerID(store.room.localPeer)(store)?.displayEnabled;
export const selectLocalAudioTrackID = (store: HMSStore) => selectLocalPeer(store)?.audioTrack;
export const selectLocalVideoTrackID = (store: HMSStore) => selectLocalPeer(store)?.videoTrack;
export const selectAudioTrackVolume = byID((id) => (store) => (trackOf(store, id) as HMSAudioTrack | undefined)?.volume);
export const selectSimulcastLayerByTrack = byID((id) => (store) => (trackOf(store, id) as HMSVideoTrack | undefined)?.layer);
export const selectDegradedTracks = derive([selectTracksMap], (tracks): HMSVideoTrack[] =>
  Object.values(tracks).filter((track): track is HMSVideoTrack => track.type === 'video' && !!track.degraded));

const isSharing = (peer: HMSPeer, tracks: Record<HMSTrackID, HMSTrack>) =>
  peer.auxiliaryTracks.some((id) => tracks[id]?.source === 'screen' && tracks[id]?.type === 'video');
export const selectPeersScreenSharing = derive([selectPeers, selectTracksMap], (peers, tracks): HMSPeer[] =>
  peers.filter((peer) => isSharing(peer, tracks)));
export const selectPeerScreenSharing = (store: HMSStore): HMSPeer | undefined => selectPeersScreenSharing(store)[0];
export const selectIsSomeoneScreenSharing = (store: HMSStore) => selectPeersScreenSharing(store).length > 0;
export const selectIsLocalScreenShared = (store: HMSStore): boolean => {
  const peer = selectLocalPeer(store);
  return !!peer && isSharing(peer, store.tracks);
};

// Speakers

export const selectSpeakers = (store: HMSStore) => store.speakers;
export const selectTrackAudioByID = byID((id) => (store) => (id ? store.speakers[id]?.audioLevel : undefined) ?? 0);
export const selectPeerAudioByID = byID((id) => (store) => {
  const track = id ? store.peers[id]?.audioTrack : undefined;
  return (track ? store.speakers[track]?.audioLevel : undefined) ?? 0;
});
/** The loudest peer just now, or null when nobody speaks. */
export const selectDominantSpeaker = (store: HMSStore): HMSPeer | null => {
  let loudest: HMSSpeaker | undefined;
  for (const speaker of Object.values(store.speakers)) {
    if (speaker.audioLevel > (loudest?.audioLevel ?? 0)) loudest = speaker;
  }
  return (loudest && store.peers[loudest.peerID]) ?? null;
};

// Messages

export const selectMessagesMap = (store: HMSStore) => store.messages.byID;
export const selectMessageIDsInOrder = (store: HMSStore) => store.messages.allIDs;
export const selectHMSMessagesCount = (store: HMSStore) => store.messages.allIDs.length;
export const selectHMSMessages = derive([selectMessageIDsInOrder, selectMessagesMap], (ids, messages): HMSMessage[] =>
  ids.map((id) => messages[id]).filter(isDefined));
export const selectUnreadHMSMessagesCount = derive([selectHMSMessages], (messages): number =>
  messages.filter((message) => !message.read).length);
export const selectBroadcastMessages = derive([selectHMSMessages], (messages): HMSMessage[] =>
  messages.filter((message) => !message.recipientPeer && !message.recipientRoles?.length));
export const selectMessagesByPeerID = byID((id) => derive([selectHMSMessages], (messages): HMSMessage[] =>
  messages.filter((message) => message.recipientPeer && (message.sender === id || message.recipientPeer === id))));
export const selectMessagesByRole = byID((role) => derive([selectHMSMessages], (messages): HMSMessage[] =>
  messages.filter((message) => role !== undefined && message.recipientRoles?.includes(role))));

// Roles

export const selectRolesMap = (store: HMSStore) => store.roles;
export const selectAvailableRoleNames = derive([selectRolesMap], (roles): string[] => Object.keys(roles));
export const selectLocalPeerRole = (store: HMSStore): HMSRole | null => {
  const name = selectLocalPeerRoleName(store);
  return (name && store.roles[name]) || null;
};
export const selectRoleByRoleName = byID((name) => (store): HMSRole => store.roles[name!]!);
export const selectPreviewRoleName = (store: HMSStore) => store.preview?.asRole;
export const selectPreviewRole = (store: HMSStore): HMSRole | null => {
  const name = store.preview?.asRole;
  return (name && store.roles[name]) || null;
};
export const selectPermissions = (store: HMSStore): HMSPermissions | undefined => selectLocalPeerRole(store)?.permissions;
export const selectIsAllowedToPublish = derive([selectLocalPeerRole], (role): HMSPublishAllowed => {
  const allowed = role?.publishParams.allowed ?? [];
  return { video: allowed.includes('video'), audio: allowed.includes('audio'), screen: allowed.includes('screen') };
});
export const selectIsAllowedToSubscribe = (store: HMSStore): boolean =>
  !!selectLocalPeerRole(store)?.subscribeParams.subscribeToRoles?.length;
export const selectRoleChangeRequest = derive(
  [(store: HMSStore) => store.roleChangeRequests, selectPeersMap, selectRolesMap],
  (requests, peers, roles): HMSRoleChangeRequest | null => {
    const request = requests[0];
    const role = request && roles[request.roleName];
    if (!role) return null;
    return { requestedBy: request.requestedBy ? peers[request.requestedBy] : undefined, role, token: request.token };
  });
