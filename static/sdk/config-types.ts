// What applications give to actions.

import type { HMSAudioMode, HMSRoleName, HMSTranscriptionMode } from './types.js';

export interface HMSConfigInitialSettings {
  isAudioMuted?: boolean;
  isVideoMuted?: boolean;
  audioInputDeviceId?: string;
  audioOutputDeviceId?: string;
  videoDeviceId?: string;
  audioMode?: HMSAudioMode;
  speakerAutoSelectionBlacklist?: 'all' | string[];
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
  /** Taken, and without effect here: sound has elements of its own, video follows what is seen. */
  audioSinkElementId?: string;
  autoManageVideo?: boolean;
  autoManageWakeLock?: boolean;
}
export interface HMSMidCallPreviewConfig {
  asRole?: HMSRoleName;
  settings?: HMSConfigInitialSettings;
}
export interface HMSPreviewConfig extends HMSConfig, HMSMidCallPreviewConfig {}
export interface HMSICEServer {
  urls: string[];
  userName?: string;
  password?: string;
}
export enum HMSAudioCodec {
  OPUS = 'opus',
}
export enum HMSVideoCodec {
  VP8 = 'vp8',
  VP9 = 'vp9',
  H264 = 'h264',
}
export enum HMSFacingMode {
  USER = 'user',
  ENVIRONMENT = 'environment',
  LEFT = 'left',
  RIGHT = 'right',
}
/** Codec and bitrate are the role's; what is said of them here has no effect. */
export interface HMSAudioTrackSettings {
  volume?: number;
  deviceId?: string;
  codec?: HMSAudioCodec;
  maxBitrate?: number;
  advanced?: MediaTrackConstraintSet[];
  audioMode?: HMSAudioMode;
}
export interface HMSVideoTrackSettings {
  width?: number;
  height?: number;
  maxFramerate?: number;
  deviceId?: string;
  facingMode?: HMSFacingMode | `${HMSFacingMode}`;
  codec?: HMSVideoCodec;
  maxBitrate?: number;
  advanced?: MediaTrackConstraintSet[];
}
export interface HMSScreenShareConfig {
  audioOnly?: boolean;
  videoOnly?: boolean;
  displaySurface?: 'browser' | 'monitor' | 'window';
  preferCurrentTab?: boolean;
  selfBrowserSurface?: 'include' | 'exclude';
  surfaceSwitching?: 'include' | 'exclude';
  systemAudio?: 'include' | 'exclude';
  forceCurrentTab?: boolean;
  /** Region capture is not done. */
  cropElement?: HTMLDivElement;
  cropTarget?: object;
}
export interface TokenRequest {
  roomCode: string;
  userId?: string;
}
export interface TokenRequestOptions {
  /** Complete address; default `/v2/token` of the page's origin. */
  endpoint?: string;
}
export interface HLSMeetingURLVariant {
  meetingURL: string;
  metadata?: string;
}
export interface HLSTimedMetadata {
  payload: string;
  /** Seconds. */
  duration: number;
}
export interface RTMPRecordingConfig {
  meetingURL?: string;
  rtmpURLs?: string[];
  record: boolean;
  resolution?: { width: number; height: number };
}
export interface HLSConfig {
  variants?: HLSMeetingURLVariant[];
  recording?: { singleFilePerLayer?: boolean; hlsVod?: boolean };
}
export interface StopHLSConfig extends HLSConfig {
  stop_reason?: string;
}

export interface HMSSessionFeedback {
  question?: string;
  rating: number;
  min_rating?: number;
  max_rating?: number;
  reasons?: string[];
  comment?: string;
}
export interface HMSFrameworkInfo {
  type: 'js' | 'react-web';
  version?: string;
  sdkVersion: string;
  isPrebuilt?: boolean;
}
