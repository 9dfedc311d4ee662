// The selectors that few applications use: those about one track or message, volumes, captions, values of the
// application's own.

import { byID, derive, isDefined } from './select.js';
import {
  selectAudioTrackByPeerID, selectAuxiliaryTracksByPeerID, selectBroadcastMessages, selectIsAllowedToPublish, selectLocalPeer,
  selectMessagesByPeerID, selectMessagesByRole, selectMessagesMap, selectPeerNameByID, selectPeers,
  selectPeersMap, selectRoleByRoleName, selectScreenShareAudioByPeerID, selectScreenShareByPeerID, selectTracksMap,
} from './selectors.js';
import type {
  HMSAudioTrack, HMSMessage, HMSPeer, HMSPublishAllowed, HMSRoleName, HMSScreenVideoTrack, HMSStore,
  HMSTrack, HMSTranscriptionMode, HMSVideoTrack, HMSWhiteboard, StoreSelector,
} from './types.js';

// Room

export const selectSessionMetadata = (store: HMSStore) => store.sessionMetadata;
export const selectIsEffectsEnabled = (store: HMSStore): boolean => !!store.room.isEffectsEnabled;
export const selectIsVBEnabled = (store: HMSStore): boolean => !!store.room.isVBEnabled;
export const selectEffectsKey = (store: HMSStore) => store.room.effectsKey;
export const selectWhiteboards = (store: HMSStore) => store.whiteboards;
/** The one that is open. */
export const selectWhiteboard = (store: HMSStore): HMSWhiteboard | undefined =>
  Object.values(store.whiteboards).find((board) => board.open);
export const selectDidIJoinWithin = (timeMs: number) => (store: HMSStore): boolean | undefined =>
  store.room.joinedAt && Date.now() - store.room.joinedAt.getTime() <= timeMs;

// Captions

export const selectTranscriptionsState = (store: HMSStore) => store.room.transcriptions;
export const selectIsTranscriptionEnabled = (store: HMSStore): boolean =>
  !!store.room.transcriptions?.some(({ mode, state }) => mode === 'caption' && state === 'started');
export const selectIsTranscriptionAllowedByMode = byID((mode) => (store) => {
  const role = store.roles[selectLocalPeer(store)?.roleName ?? ''];
  return !!role?.permissions.transcriptions?.[mode as HMSTranscriptionMode]?.includes('admin');
}) as (mode: HMSTranscriptionMode) => StoreSelector<boolean>;
export const selectTranslationState = derive([(store: HMSStore) => store.room], (room) => {
  const running = room.transcriptions?.find(({ mode }) => mode === 'caption')?.translation;
  const configured = room.translationConfig?.caption;
  return {
    available: !!(running ?? configured), enabled: (running ?? configured)?.enabled ?? false,
    roleLanguages: (running ?? configured)?.roleLanguages,
  };
});

// Peers

export const selectPeerName = selectPeerNameByID as (id: string) => StoreSelector<string | undefined>;
export const selectPeerByCondition = (test: (peer: HMSPeer) => boolean): StoreSelector<HMSPeer | undefined> =>
  derive([selectPeers], (peers) => peers.find(test));
export const selectPeersByCondition = (test: (peer: HMSPeer) => boolean): StoreSelector<HMSPeer[]> =>
  derive([selectPeers], (peers) => peers.filter(test));
export const selectPeersByRoles = (roles: HMSRoleName[]): StoreSelector<HMSPeer[]> =>
  derive([selectPeers], (peers) => peers.filter((peer) => peer.roleName !== undefined && roles.includes(peer.roleName)));

export interface HMSPeerWithMuteStatus {
  peer: HMSPeer;
  isAudioEnabled?: boolean;
}
export const selectPeersWithAudioStatus = derive([selectPeersMap, selectTracksMap], (peers, tracks): HMSPeerWithMuteStatus[] =>
  Object.values(peers).map((peer) => ({ peer, isAudioEnabled: tracks[peer.audioTrack ?? '']?.enabled })));

/** Sources of the auxiliary tracks by which peers are found. */
const sharing = (source: string, type?: string) => derive([selectPeers, selectTracksMap], (peers, tracks): HMSPeer | undefined =>
  peers.find((peer) => peer.auxiliaryTracks.some((id) => tracks[id]?.source === source && (!type || tracks[id]?.type === type))));
/** Who shares the sound of a screen or tab without its picture. */
export const selectPeerSharingAudio = derive([selectPeers, selectTracksMap], (peers, tracks): HMSPeer | undefined =>
  peers.find((peer) => {
    const shared = peer.auxiliaryTracks.map((id) => tracks[id]).filter(isDefined).filter(({ source }) => source === 'screen');
    return shared.some(({ type, enabled }) => type === 'audio' && enabled) && !shared.some(({ type }) => type === 'video');
  }));
export const selectPeerSharingVideoPlaylist = sharing('videoplaylist', 'video');
export const selectPeerSharingAudioPlaylist = sharing('audioplaylist', 'audio');

export const selectIsRoleAllowedToPublish = (role: HMSRoleName): StoreSelector<HMSPublishAllowed> =>
  derive([selectRoleByRoleName(role)], (it) => {
    const allowed = it?.publishParams.allowed ?? [];
    return { video: allowed.includes('video'), audio: allowed.includes('audio'), screen: allowed.includes('screen') };
  });
/** What the role in preview may publish; the own role's without one. */
export const selectIsAllowedToPreviewMedia = (store: HMSStore): HMSPublishAllowed => {
  const role = store.preview?.asRole;
  return role ? previewed(role)(store) : selectIsAllowedToPublish(store);
};
const previewed = byID((role) => selectIsRoleAllowedToPublish(role!));

// Tracks

const trackByID = <T extends HMSTrack>(is: (track: HMSTrack) => boolean) => byID((id) => (store): T | null => {
  const track = id ? store.tracks[id] : undefined;
  return track && is(track) ? (track as T) : null;
});
export const selectVideoTrackByID = trackByID<HMSVideoTrack>(({ type }) => type === 'video');
export const selectAudioTrackByID = trackByID<HMSAudioTrack>(({ type }) => type === 'audio');
export const selectScreenVideoTrackByID = trackByID<HMSScreenVideoTrack>(({ type, source }) => type === 'video' && source === 'screen');
export const selectScreenAudioTrackByID = trackByID<HMSAudioTrack>(({ type, source }) => type === 'audio' && source === 'screen');

export const selectLocalTrackIDs = derive([selectLocalPeer], (peer): string[] =>
  peer ? [peer.audioTrack, peer.videoTrack, ...peer.auxiliaryTracks].filter(isDefined) : []);
/** Nothing tells a web page what else uses its devices. */
const interrupted = (store: HMSStore, kind: 'audioTrack' | 'videoTrack') =>
  !!store.tracks[selectLocalPeer(store)?.[kind] ?? '']?.interrupted;
export const selectIsLocalAudioInterrupted = (store: HMSStore) => interrupted(store, 'audioTrack');
export const selectIsLocalVideoInterrupted = (store: HMSStore) => interrupted(store, 'videoTrack');

const auxiliary = <T extends HMSTrack>(type: string, source?: string) => byID((id) => (store): T | undefined =>
  selectAuxiliaryTracksByPeerID(id)(store).find((track) => track.type === type && (!source || track.source === source)) as T | undefined);
export const selectAuxiliaryAudioByPeerID = auxiliary<HMSAudioTrack>('audio');
export const selectVideoPlaylistVideoTrackByPeerID = auxiliary<HMSVideoTrack>('video', 'videoplaylist');
export const selectVideoPlaylistAudioTrackByPeerID = auxiliary<HMSAudioTrack>('audio', 'videoplaylist');
export const selectAudioPlaylistTrackByPeerID = auxiliary<HMSAudioTrack>('audio', 'audioplaylist');
export const selectScreenSharesByPeerId = byID((id) => derive(
  [selectScreenShareByPeerID(id), selectScreenShareAudioByPeerID(id)],
  (video, audio) => ({ video, audio })));

const muted = (track: HMSAudioTrack | undefined) => track && track.volume === 0;
export const selectIsAudioLocallyMuted = byID((id) => (store) => muted(store.tracks[id ?? ''] as HMSAudioTrack | undefined));
export const selectIsLocallyMutedByPeerID = byID((id) => (store) => muted(selectAudioTrackByPeerID(id)(store)));
export const selectIsScreenShareLocallyMutedByPeerID = byID((id) => (store) => muted(selectScreenShareAudioByPeerID(id)(store)));
export const selectAudioVolumeByPeerID = byID((id) => (store) => selectAudioTrackByPeerID(id)(store)?.volume);
export const selectScreenshareAudioVolumeByPeerID = byID((id) => (store) => selectScreenShareAudioByPeerID(id)(store)?.volume);

// Messages

export const selectMessageByMessageID = (id: string): StoreSelector<HMSMessage> => (store) => selectMessagesMap(store)[id]!;
export const selectHMSBroadcastMessages = selectBroadcastMessages;
const unread = (messages: HMSMessage[]) => messages.filter(({ read }) => !read).length;
export const selectBroadcastMessagesUnreadCount = derive([selectBroadcastMessages], unread);
export const selectUnreadHMSBroadcastMessagesCount = selectBroadcastMessagesUnreadCount;
export const selectMessagesUnreadCountByPeerID = byID((id) => derive([selectMessagesByPeerID(id)], unread));
export const selectMessagesUnreadCountByRole = byID((role) => derive([selectMessagesByRole(role)], unread));

// The application's own values

export const selectFullAppData = (store: HMSStore) => store.appData;
export const selectAppData = byID((key) => (store) => (key === undefined ? store.appData : store.appData?.[key]));
/** A value inside of values: `selectAppDataByPath('settings', 'theme')`. */
export const selectAppDataByPath = (...keys: string[]) => (store: HMSStore): Record<string, any> | undefined =>
  keys.reduce<Record<string, any> | undefined>((data, key) => data?.[key], store.appData);

