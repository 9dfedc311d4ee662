// The shapes that applications see. Names and meanings are those of @100mslive/hms-video-store, so that an
// application written for it works on this client after changing the import.

import type { HMSPoll } from './poll-types.js';

export * from './config-types.js';
export * from './notification-types.js';
export * from './poll-types.js';

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

export enum HLSPlaylistType {
  DVR = 'dvr',
  NO_DVR = 'no-dvr',
}
export enum HLSStreamType {
  REGULAR = 'regular',
  SCREEN = 'screen',
  COMPOSITE = 'composite',
}

export enum HMSTranscriptionState {
  INITIALISED = 'initialised',
  STARTED = 'started',
  STOPPED = 'stopped',
  FAILED = 'failed',
}
export enum HMSTranscriptionMode {
  CAPTION = 'caption',
}

export enum HMSAudioMode {
  VOICE = 'voice',
  MUSIC = 'music',
}
export enum DeviceType {
  videoInput = 'videoInput',
  audioInput = 'audioInput',
  audioOutput = 'audioOutput',
}
export enum HMSMessageType {
  CHAT = 'chat',
}
export enum HMSTrackExceptionTrackType {
  AUDIO = 'audio',
  VIDEO = 'video',
  AUDIO_VIDEO = 'audio, video',
  SCREEN = 'screen',
}

export enum HMSSimulcastLayer {
  NONE = 'none',
  LOW = 'low',
  MEDIUM = 'medium',
  HIGH = 'high',
}
export type HMSPreferredSimulcastLayer = Exclude<HMSSimulcastLayer, HMSSimulcastLayer.NONE>;

export type RID = 'f' | 'h' | 'q';
/** The layers by the names they have on the wire. */
export const simulcastMapping: Record<RID, HMSSimulcastLayer> = {
  f: HMSSimulcastLayer.HIGH, h: HMSSimulcastLayer.MEDIUM, q: HMSSimulcastLayer.LOW,
};

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
  transcriptions?: HMSTranscriptionInfo[];
  isEffectsEnabled?: boolean;
  isVBEnabled?: boolean;
  effectsKey?: string;
  isHipaaEnabled?: boolean;
  isNoiseCancellationEnabled?: boolean;
  translationConfig?: Record<HMSTranscriptionMode, HMSTranslationConfig>;
}

export interface HMSTranslationConfig {
  enabled: boolean;
  /** The language in which a role reads. */
  roleLanguages?: Record<HMSRoleName, string>;
}
export interface HMSTranscriptionInfo {
  state?: HMSTranscriptionState;
  mode?: HMSTranscriptionMode;
  language?: string;
  initialised_at?: Date;
  started_at?: Date;
  updated_at?: Date;
  stopped_at?: Date;
  error?: HMSException;
  translation?: HMSTranslationConfig;
}
export interface TranscriptionConfig {
  mode: HMSTranscriptionMode;
  language?: string;
  translation?: HMSTranslationConfig;
}
export type TranscriptionConfigUpdate = Pick<TranscriptionConfig, 'language' | 'translation'>;

export type HMSPermissionType = 'read' | 'write' | 'admin';
export interface HMSWhiteboard {
  id: string;
  open?: boolean;
  title?: string;
  owner?: string;
  permissions?: HMSPermissionType[];
  presence?: boolean;
  attributes?: { name: string; value: unknown }[];
  url?: string;
  /** Where the drawing is kept, and the key to it: for a whiteboard component. */
  addr?: string;
  token?: string;
}
export interface HMSWhiteboardCreateOptions {
  id?: string;
  title?: string;
  reader?: HMSRoleName[];
  writer?: HMSRoleName[];
  admin?: HMSRoleName[];
  presence?: boolean;
  attributes?: { name: string; value: unknown }[];
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
  playlist_type?: HLSPlaylistType;
  stream_type?: HLSStreamType;
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
  isStarred?: boolean;
  isHandRaised: boolean;
  type: HMSPeerType;
}

interface BaseTrack {
  id: HMSTrackID;
  source: HMSTrackSource;
  type: HMSTrackType;
  /** Not muted by its owner. */
  enabled: boolean;
  /** What a local mute button should show; runs ahead of `enabled` while a camera opens. */
  displayEnabled?: boolean;
  peerId?: HMSPeerID;
  deviceID?: string;
  plugins?: string[];
  /** Something else has the device just now, such as a phone call. */
  interrupted?: boolean;
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
  facingMode?: HMSTrackFacingMode;
  layer?: HMSSimulcastLayer;
  preferredLayer?: HMSPreferredSimulcastLayer;
  layerDefinitions?: HMSSimulcastLayerDefinition[];
  height?: number;
  width?: number;
  /** The network here is too bad for this track just now. */
  degraded?: boolean;
}
export type HMSTrackFacingMode = 'user' | 'environment' | 'left' | 'right';
export type HMSTrackDisplaySurface = 'application' | 'browser' | 'selfBrowser' | 'monitor' | 'window';
export interface HMSScreenVideoTrack extends Omit<HMSVideoTrack, 'facingMode'> {
  source: 'screen';
  displaySurface?: HMSTrackDisplaySurface;
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
  message: any;
  ignored: boolean;
}

export interface HMSMediaSettings {
  audioInputDeviceId: string;
  videoInputDeviceId: string;
  audioOutputDeviceId?: string;
  audioMode?: HMSAudioMode;
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
  whiteboard?: HMSPermissionType[];
  transcriptions?: Record<HMSTranscriptionMode, HMSPermissionType[]>;
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
  readonly sessionStore: Record<string, any>;
  readonly sessionMetadata?: any;
  readonly whiteboards: Record<string, HMSWhiteboard>;
  /** The application's own values, see `setAppData`. */
  readonly appData?: Record<string, any>;
  /** For `getDebugInfo`. */
  readonly debug?: DebugInfo;
  readonly preview?: { localPeer?: HMSPeerID; asRole?: HMSRoleName; videoTrack?: HMSTrackID; audioTrack?: HMSTrackID };
  readonly errors: HMSException[];
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

export interface DebugInfo {
  websocketURL?: string;
  enabledFlags?: string[];
  initEndpoint?: string;
}

/** What applications declare of their values: `HMSReactiveStore<{ sessionStore: { spotlight: string } }>`. */
export interface HMSGenericTypes {
  sessionStore: Record<string, any>;
}

export type StoreSelector<T> = (store: HMSStore) => T;
