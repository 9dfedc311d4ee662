// The shapes that applications see. Names and meanings are those of @100mslive/hms-video-store, so that an
// application written for it works on this client after changing the import.

export type HMSPeerID = string;
export type HMSTrackID = string;
export type HMSMessageID = string;
export type HMSRoleName = string;
export type HMSGroupName = string;
export type HMSTrackType = 'audio' | 'video';
export type HMSTrackSource = 'regular' | 'screen' | 'plugin' | 'audioplaylist' | 'videoplaylist' | (string & {});

/** Where the connection to the room stands. */
export enum HMSRoomState {
  Disconnected = 'Disconnected',
  Preview = 'Preview',
  Connecting = 'Connecting',
  Connected = 'Connected',
  Reconnecting = 'Reconnecting',
  Disconnecting = 'Disconnecting',
  Failed = 'Failed',
}

export enum HMSRecordingState {
  NONE = 'none',
  INITIALISED = 'initialised',
  STARTED = 'started',
  PAUSED = 'paused',
  RESUMED = 'resumed',
  STOPPED = 'stopped',
  FAILED = 'failed',
}

export enum HMSStreamingState {
  NONE = 'none',
  INITIALISED = 'initialised',
  STARTED = 'started',
  STOPPED = 'stopped',
  FAILED = 'failed',
}

export enum HMSSimulcastLayer {
  NONE = 'none',
  LOW = 'low',
  MEDIUM = 'medium',
  HIGH = 'high',
}
export type HMSPreferredSimulcastLayer = Exclude<HMSSimulcastLayer, HMSSimulcastLayer.NONE>;

export enum HMSPeerType {
  SIP = 'sip',
  REGULAR = 'regular',
}

export enum HMSLogLevel {
  VERBOSE = 0,
  DEBUG = 1,
  INFO = 2,
  WARN = 3,
  TIME = 4,
  TIMEEND = 5,
  ERROR = 6,
  NONE = 7,
}

export interface HMSException {
  code: number;
  action: string;
  name: string;
  message: string;
  description: string;
  /** The call is over because of it. */
  isTerminal: boolean;
  timestamp: Date;
  nativeError?: Error;
  /** Set for errors of local tracks: which device. */
  trackType?: 'audio' | 'video' | 'audio, video' | 'screen';
}

export interface HMSRoom {
  id: string;
  name: string;
  description?: string;
  max_size?: number;
  templateId?: string;
  isConnected?: boolean;
  peers: HMSPeerID[];
  localPeer: HMSPeerID;
  roomState: HMSRoomState;
  recording: HMSRecording;
  rtmp: HMSRTMP;
  hls: HMSHLS;
  sessionId: string;
  startedAt?: Date;
  joinedAt?: Date;
  peerCount?: number;
  isLargeRoom?: boolean;
}

export interface HMSRecording {
  browser: HMSRecordingInfo;
  server: HMSRecordingInfo;
  hls: HMSRecordingInfo & { initialisedAt?: Date; singleFilePerLayer?: boolean; hlsVod?: boolean };
}
export interface HMSRecordingInfo {
  running: boolean;
  startedAt?: Date;
  state?: HMSRecordingState;
  error?: HMSException;
}
export interface HMSRTMP {
  running: boolean;
  startedAt?: Date;
  state?: HMSStreamingState;
  error?: HMSException;
}
export interface HMSHLS {
  running: boolean;
  variants: HLSVariant[];
  error?: HMSException;
}
export interface HLSVariant {
  /** Address of the multivariant playlist; empty until the stream is on the air. */
  url: string;
  playlist_type?: 'dvr' | 'no-dvr';
  stream_type?: 'regular' | 'screen' | 'composite';
  meetingURL?: string;
  metadata?: string;
  startedAt?: Date;
  initialisedAt?: Date;
  state?: HMSStreamingState;
}

export interface HMSPeer {
  id: HMSPeerID;
  name: string;
  roleName?: HMSRoleName;
  isLocal: boolean;
  videoTrack?: HMSTrackID;
  audioTrack?: HMSTrackID;
  auxiliaryTracks: HMSTrackID[];
  customerUserId?: string;
  metadata?: string;
  joinedAt?: Date;
  groups?: HMSGroupName[];
  isHandRaised: boolean;
  type: HMSPeerType;
}

interface BaseTrack {
  id: HMSTrackID;
  source?: HMSTrackSource;
  type: HMSTrackType;
  /** Not muted by its owner. */
  enabled: boolean;
  /** What a local mute button should show; runs ahead of `enabled` while a camera opens. */
  displayEnabled?: boolean;
  peerId?: HMSPeerID;
  deviceID?: string;
  /** Local tracks: false in preview. */
  isPublished?: boolean;
}
export interface HMSAudioTrack extends BaseTrack {
  type: 'audio';
  /** 0 to 100, of the playback here. */
  volume?: number;
}
export interface HMSSimulcastLayerDefinition {
  layer: HMSPreferredSimulcastLayer;
  resolution: { width: number; height: number };
}
export interface HMSVideoTrack extends BaseTrack {
  type: 'video';
  facingMode?: 'user' | 'environment' | 'left' | 'right';
  layer?: HMSSimulcastLayer;
  preferredLayer?: HMSPreferredSimulcastLayer;
  layerDefinitions?: HMSSimulcastLayerDefinition[];
  height?: number;
  width?: number;
  /** The network here is too bad for this track just now. */
  degraded?: boolean;
}
export interface HMSScreenVideoTrack extends HMSVideoTrack {
  source: 'screen';
  displaySurface?: string;
}
export interface HMSScreenAudioTrack extends HMSAudioTrack {
  source: 'screen';
}
export type HMSTrack = HMSVideoTrack | HMSAudioTrack | HMSScreenVideoTrack | HMSScreenAudioTrack;

export interface HMSSpeaker {
  peerID: HMSPeerID;
  trackID: HMSTrackID;
  /** 0 to 100. */
  audioLevel: number;
}

export interface HMSConnectionQuality {
  peerID: HMSPeerID;
  /** -1 unknown, 0 disconnected, 1 very bad … 5 good. */
  downlinkQuality: number;
}

export interface HMSMessage {
  id: HMSMessageID;
  sender?: HMSPeerID;
  senderName?: string;
  senderUserId?: string;
  senderRole?: string;
  recipientPeer?: HMSPeerID;
  recipientRoles?: HMSRoleName[];
  time: Date;
  read: boolean;
  type: string;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as in the original
  message: any;
  ignored: boolean;
}

export interface HMSMediaSettings {
  audioInputDeviceId: string;
  videoInputDeviceId: string;
  audioOutputDeviceId?: string;
}

export interface DeviceMap {
  audioInput: MediaDeviceInfo[];
  audioOutput: MediaDeviceInfo[];
  videoInput: MediaDeviceInfo[];
}

export interface HMSPermissions {
  endRoom: boolean;
  removeOthers: boolean;
  unmute: boolean;
  mute: boolean;
  changeRole: boolean;
  hlsStreaming: boolean;
  rtmpStreaming: boolean;
  browserRecording: boolean;
  pollRead: boolean;
  pollWrite: boolean;
}

export interface HMSVideoParams {
  bitRate: number;
  codec: string;
  frameRate: number;
  width: number;
  height: number;
}
export interface SimulcastLayer {
  rid: string;
  scaleResolutionDownBy: number;
  maxBitrate: number;
  maxFramerate: number;
}
export interface HMSRole {
  name: HMSRoleName;
  publishParams: {
    allowed: string[];
    audio: { bitRate: number; codec: string };
    video: HMSVideoParams;
    screen: HMSVideoParams;
    simulcast?: { video: { layers?: SimulcastLayer[] }; screen: { layers?: SimulcastLayer[] } };
  };
  subscribeParams: { subscribeToRoles: HMSRoleName[]; maxSubsBitRate: number };
  permissions: HMSPermissions;
  priority: number;
}

export interface HMSPublishAllowed {
  video: boolean;
  audio: boolean;
  screen: boolean;
}

export interface HMSRoleChangeStoreRequest {
  requestedBy?: HMSPeerID;
  roleName: HMSRoleName;
  token: string;
}
export interface HMSRoleChangeRequest {
  requestedBy?: HMSPeer;
  role: HMSRole;
  token: string;
}
export interface HMSChangeTrackStateRequest {
  requestedBy?: HMSPeer;
  track: HMSTrack;
  enabled: boolean;
}
export interface HMSChangeMultiTrackStateRequest {
  requestedBy?: HMSPeer;
  tracks: HMSTrack[];
  enabled: boolean;
  type?: HMSTrackType;
  source?: HMSTrackSource;
}
export interface HMSChangeMultiTrackStateParams {
  enabled: boolean;
  roles?: HMSRoleName[];
  type?: HMSTrackType;
  source?: HMSTrackSource;
}
export interface HMSLeaveRoomRequest {
  requestedBy?: HMSPeer;
  reason: string;
  roomEnded: boolean;
}
export interface HMSDeviceChangeEvent {
  error?: HMSException;
  devices?: DeviceMap;
  selection?: Partial<MediaDeviceInfo>;
  type: 'audioOutput' | 'audioInput' | 'video';
}

/** All that is known of the room; what selectors select from. Frozen: a change makes new objects on its way. */
export interface HMSStore {
  readonly room: HMSRoom;
  readonly peers: Record<HMSPeerID, HMSPeer>;
  readonly tracks: Record<HMSTrackID, HMSTrack>;
  readonly speakers: Record<HMSTrackID, HMSSpeaker>;
  readonly connectionQualities: Record<HMSPeerID, HMSConnectionQuality>;
  readonly messages: { byID: Record<HMSMessageID, HMSMessage>; allIDs: HMSMessageID[] };
  readonly settings: HMSMediaSettings;
  readonly devices: DeviceMap;
  readonly roles: Record<HMSRoleName, HMSRole>;
  readonly templateAppData: Record<string, string>;
  readonly roleChangeRequests: HMSRoleChangeStoreRequest[];
  readonly polls: Record<string, HMSPoll>;
  /** Values that all peers of the session share; those that are observed. */
  readonly sessionStore: Record<string, unknown>;
  readonly preview?: { localPeer?: HMSPeerID; asRole?: HMSRoleName; videoTrack?: HMSTrackID; audioTrack?: HMSTrackID };
  readonly errors: HMSException[];
}

export type HMSPollState = 'created' | 'started' | 'stopped';
export type HMSPollUserTrackingMode = 'peerID' | 'customerID' | 'userName';
export enum HMSPollQuestionType {
  SINGLE_CHOICE = 'single-choice',
  MULTIPLE_CHOICE = 'multiple-choice',
  SHORT_ANSWER = 'short-answer',
  LONG_ANSWER = 'long-answer',
}
export interface HMSPoll {
  id: string;
  title: string;
  state?: HMSPollState;
  type: 'poll' | 'quiz';
  /** Seconds; without it the poll runs until it is stopped. */
  duration?: number;
  anonymous?: boolean;
  visibility?: boolean;
  locked?: boolean;
  mode?: HMSPollUserTrackingMode;
  createdBy?: string;
  startedBy?: string;
  stoppedBy?: string;
  createdAt?: Date;
  startedAt?: Date;
  stoppedAt?: Date;
  questions?: HMSPollQuestion[];
  rolesThatCanVote?: HMSRoleName[];
  rolesThatCanViewResponses?: HMSRoleName[];
  result?: { totalUsers?: number; maxUsers?: number; totalResponses?: number };
}
export interface HMSPollCreateParams extends Pick<HMSPoll, 'id' | 'title' | 'type' | 'duration' | 'anonymous' | 'visibility'
  | 'locked' | 'mode' | 'rolesThatCanVote' | 'rolesThatCanViewResponses'> {
  questions?: HMSPollQuestionCreateParams[];
}
export interface HMSPollQuestion {
  index: number;
  text: string;
  type: HMSPollQuestionType;
  skippable?: boolean;
  duration?: number;
  once?: boolean;
  weight?: number;
  options?: { index: number; text: string; weight?: number; voteCount?: number }[];
  answer?: HMSPollQuestionAnswer;
  responses?: HMSPollQuestionResponse[];
  result?: { correctResponses?: number; skippedCount?: number; totalResponses?: number };
}
export interface HMSPollQuestionCreateParams extends Pick<HMSPollQuestion, 'text' | 'skippable' | 'type' | 'answer'> {
  index?: number;
  options?: { text: string; weight?: number; isCorrectAnswer?: boolean }[];
  weight?: number;
}
export interface HMSPollQuestionAnswer {
  hidden: boolean;
  option?: number;
  options?: number[];
  text?: string;
  case?: boolean;
}
export interface HMSPollQuestionResponse {
  id?: string;
  questionIndex: number;
  peer?: HMSPollResponsePeerInfo;
  type?: HMSPollQuestionType;
  skipped?: boolean;
  option?: number;
  options?: number[];
  text?: string;
  /** Milliseconds that it took. */
  duration?: number;
  responseFinal?: boolean;
}
export type HMSPollQuestionResponseCreateParams = Omit<HMSPollQuestionResponse, 'type' | 'peer' | 'responseFinal'>;
export interface HMSPollResponsePeerInfo {
  userHash?: string;
  peerid?: string;
  userid?: string;
  username?: string;
}
export interface HMSQuizLeaderboardResponse {
  entries: {
    position: number; score: number; totalResponses: number; correctResponses: number; duration: number;
    peer: HMSPollResponsePeerInfo;
  }[];
  hasNext: boolean;
  summary?: { avgScore: number; avgTime: number; votedUsers: number; totalUsers: number; correctUsers: number };
}

export interface HMSPeerListIteratorOptions {
  role?: HMSRoleName;
  group?: string;
  peerIds?: HMSPeerID[];
  /** Peers a page: 10 when absent, at most 100. */
  limit?: number;
}

export interface HMSPeerListIterator {
  hasNext(): boolean;
  /** How many peers match, once a page has come. */
  getTotal(): number;
  findPeers(): Promise<HMSPeer[]>;
  next(): Promise<HMSPeer[]>;
}

export type StoreSelector<T> = (store: HMSStore) => T;

export interface HMSConfigInitialSettings {
  isAudioMuted?: boolean;
  isVideoMuted?: boolean;
  audioInputDeviceId?: string;
  audioOutputDeviceId?: string;
  videoDeviceId?: string;
}
export interface HMSConfig {
  userName: string;
  authToken: string;
  /** A string, or an object that is made JSON text. */
  metaData?: string | object;
  settings?: HMSConfigInitialSettings;
  /** Let the server send every video without being asked. Default false: video follows what is on the screen. */
  autoVideoSubscribe?: boolean;
  /** Origin of the server, http or https. Default: the page's own. */
  initEndpoint?: string;
  /** In place of the server's. */
  iceServers?: HMSICEServer[];
  rememberDeviceSelection?: boolean;
  captureNetworkQualityInPreview?: boolean;
}
export interface HMSPreviewConfig extends HMSConfig {
  asRole?: HMSRoleName;
}
export interface HMSICEServer {
  urls: string[];
  userName?: string;
  password?: string;
}
export interface HMSAudioTrackSettings {
  volume?: number;
  deviceId?: string;
}
export interface HMSVideoTrackSettings {
  width?: number;
  height?: number;
  maxFramerate?: number;
  deviceId?: string;
  facingMode?: 'user' | 'environment' | 'left' | 'right';
}
export interface HMSScreenShareConfig {
  audioOnly?: boolean;
  videoOnly?: boolean;
  displaySurface?: 'browser' | 'monitor' | 'window';
  preferCurrentTab?: boolean;
  selfBrowserSurface?: 'include' | 'exclude';
  surfaceSwitching?: 'include' | 'exclude';
  systemAudio?: 'include' | 'exclude';
}
export interface TokenRequest {
  roomCode: string;
  userId?: string;
}
export interface TokenRequestOptions {
  /** Complete address; default `/v2/token` of the page's origin. */
  endpoint?: string;
}
export interface HLSConfig {
  variants?: { meetingURL: string; metadata?: string }[];
  recording?: { singleFilePerLayer?: boolean; hlsVod?: boolean };
}
export interface StopHLSConfig extends HLSConfig {
  stop_reason?: string;
}

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
  | Notification<HMSNotificationTypes.ERROR, HMSException>
  | Notification<HMSNotificationTypes.RECONNECTING | HMSNotificationTypes.RECONNECTED, HMSException | null>
  | Notification<HMSNotificationTypes.CHANGE_TRACK_STATE_REQUEST, HMSChangeTrackStateRequest>
  | Notification<HMSNotificationTypes.CHANGE_MULTI_TRACK_STATE_REQUEST, HMSChangeMultiTrackStateRequest>
  | Notification<HMSNotificationTypes.ROOM_ENDED | HMSNotificationTypes.REMOVED_FROM_ROOM, HMSLeaveRoomRequest>
  | Notification<HMSNotificationTypes.DEVICE_CHANGE_UPDATE, HMSDeviceChangeEvent | undefined>;

/** The notification of a given type, e.g. `HMSNotificationOf<HMSNotificationTypes.NEW_MESSAGE>`. */
export type HMSNotificationOf<Type extends HMSNotificationTypes> =
  HMSNotification extends infer U ? (U extends { type: infer T } ? (Type extends T ? U : never) : never) : never;
