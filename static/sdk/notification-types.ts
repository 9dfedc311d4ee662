// What the client tells of, besides the state.

import type { HMSPoll } from './poll-types.js';
import type {
  HMSChangeMultiTrackStateRequest, HMSChangeTrackStateRequest, HMSDeviceChangeEvent, HMSException, HMSLeaveRoomRequest, HMSMessage, HMSPeer, HMSTrack, HMSTranscriptionInfo,
} from './types.js';

export enum HMSNotificationSeverity {
  INFO = 'info',
  ERROR = 'error',
}

export enum HMSNotificationTypes {
  PEER_JOINED = 'PEER_JOINED',
  PEER_LEFT = 'PEER_LEFT',
  PEER_LIST = 'PEER_LIST',
  NEW_MESSAGE = 'NEW_MESSAGE',
  ERROR = 'ERROR',
  RECONNECTING = 'RECONNECTING',
  RECONNECTED = 'RECONNECTED',
  TRACK_ADDED = 'TRACK_ADDED',
  TRACK_REMOVED = 'TRACK_REMOVED',
  TRACK_MUTED = 'TRACK_MUTED',
  TRACK_UNMUTED = 'TRACK_UNMUTED',
  TRACK_DEGRADED = 'TRACK_DEGRADED',
  TRACK_RESTORED = 'TRACK_RESTORED',
  TRACK_DESCRIPTION_CHANGED = 'TRACK_DESCRIPTION_CHANGED',
  ROLE_UPDATED = 'ROLE_UPDATED',
  CHANGE_TRACK_STATE_REQUEST = 'CHANGE_TRACK_STATE_REQUEST',
  CHANGE_MULTI_TRACK_STATE_REQUEST = 'CHANGE_MULTI_TRACK_STATE_REQUEST',
  ROOM_ENDED = 'ROOM_ENDED',
  REMOVED_FROM_ROOM = 'REMOVED_FROM_ROOM',
  DEVICE_CHANGE_UPDATE = 'DEVICE_CHANGE_UPDATE',
  NAME_UPDATED = 'NAME_UPDATED',
  METADATA_UPDATED = 'METADATA_UPDATED',
  HAND_RAISE_CHANGED = 'HAND_RAISE_CHANGED',
  POLL_CREATED = 'POLL_CREATED',
  POLL_STARTED = 'POLL_STARTED',
  POLL_STOPPED = 'POLL_STOPPED',
  POLL_VOTES_UPDATED = 'POLL_VOTES_UPDATED',
  POLLS_LIST = 'POLLS_LIST',
  TRANSCRIPTION_STATE_UPDATED = 'TRANSCRIPTION_STATE_UPDATED',
  PLAYLIST_TRACK_ENDED = 'PLAYLIST_TRACK_ENDED',
  TRACK_INTERRUPTION_START = 'TRACK_INTERRUPTION_START',
  TRACK_INTERRUPTION_END = 'TRACK_INTERRUPTION_END',
}

interface Notification<Type extends HMSNotificationTypes, Data> {
  id: number;
  type: Type;
  message: string;
  severity?: HMSNotificationSeverity;
  data: Data;
}

export type HMSNotification =
  | Notification<
      | HMSNotificationTypes.PEER_JOINED | HMSNotificationTypes.PEER_LEFT | HMSNotificationTypes.NAME_UPDATED | HMSNotificationTypes.METADATA_UPDATED | HMSNotificationTypes.ROLE_UPDATED
      | HMSNotificationTypes.HAND_RAISE_CHANGED, HMSPeer>
  | Notification<HMSNotificationTypes.PEER_LIST, HMSPeer[]>
  | Notification<
      | HMSNotificationTypes.TRACK_ADDED | HMSNotificationTypes.TRACK_REMOVED | HMSNotificationTypes.TRACK_MUTED | HMSNotificationTypes.TRACK_UNMUTED | HMSNotificationTypes.TRACK_DEGRADED
      | HMSNotificationTypes.TRACK_RESTORED | HMSNotificationTypes.TRACK_DESCRIPTION_CHANGED, HMSTrack>
  | Notification<
      | HMSNotificationTypes.POLL_CREATED | HMSNotificationTypes.POLL_STARTED | HMSNotificationTypes.POLL_STOPPED
      | HMSNotificationTypes.POLL_VOTES_UPDATED | HMSNotificationTypes.POLLS_LIST, HMSPoll>
  | Notification<HMSNotificationTypes.NEW_MESSAGE, HMSMessage>
  | Notification<HMSNotificationTypes.TRANSCRIPTION_STATE_UPDATED, HMSTranscriptionInfo[]>
  | Notification<HMSNotificationTypes.ERROR, HMSException>
  | Notification<HMSNotificationTypes.RECONNECTING | HMSNotificationTypes.RECONNECTED, HMSException | null>
  | Notification<HMSNotificationTypes.CHANGE_TRACK_STATE_REQUEST, HMSChangeTrackStateRequest>
  | Notification<HMSNotificationTypes.CHANGE_MULTI_TRACK_STATE_REQUEST, HMSChangeMultiTrackStateRequest>
  | Notification<HMSNotificationTypes.ROOM_ENDED | HMSNotificationTypes.REMOVED_FROM_ROOM, HMSLeaveRoomRequest>
  | Notification<HMSNotificationTypes.DEVICE_CHANGE_UPDATE, HMSDeviceChangeEvent | undefined>;

/** The notification of a given type, e.g. `HMSNotificationOf<HMSNotificationTypes.NEW_MESSAGE>`. */
export type HMSNotificationOf<Type extends HMSNotificationTypes> =
  HMSNotification extends infer U ? (U extends { type: infer T } ? (Type extends T ? U : never) : never) : never;
