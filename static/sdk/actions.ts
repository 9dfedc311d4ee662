// What an application can do. Each action is a call to the Go client, but for what only the page can do: elements.

import type { Bridge } from './bridge.js';
import { HMSError } from './bridge.js';
import type { Media } from './media.js';
import type { Store } from './store.js';
import { freeze } from './store.js';
import { selectRoleChangeRequest } from './selectors.js';
import type { HMSStatsStore } from './stats.js';
import type {
  DebugInfo, HLSConfig, HLSTimedMetadata, HMSAudioTrackSettings, HMSChangeMultiTrackStateParams, HMSConfig, HMSFrameworkInfo,
  HMSGenericTypes, HMSLogLevel, HMSMidCallPreviewConfig, HMSPeer, HMSPeerID, HMSPeerListIterator, HMSPeerListIteratorOptions,
  HMSPoll, HMSPollCreateParams, HMSPollQuestionCreateParams, HMSPollQuestionResponseCreateParams, HMSPreferredSimulcastLayer,
  HMSPreviewConfig, HMSQuizLeaderboardResponse, HMSRoleChangeRequest, HMSRoleName, HMSScreenShareConfig, HMSSessionFeedback,
  HMSTrack, HMSTrackID, HMSTrackSource, HMSVideoTrackSettings, HMSWhiteboardCreateOptions, RTMPRecordingConfig, StopHLSConfig,
  TokenRequest, TokenRequestOptions, TranscriptionConfig, TranscriptionConfigUpdate,
} from './types.js';

export class HMSActions<T extends HMSGenericTypes = HMSGenericTypes> {
  constructor(private readonly bridge: Bridge, private readonly media: Media, private readonly store: Store) {}

  /**
   * Opens camera and microphone and learns the role, without being seen in the room. In a room it opens what another
   * role (`asRole`) would publish, until that role is taken or `cancelMidCallPreview` is called.
   */
  async preview(config: HMSMidCallPreviewConfig | HMSPreviewConfig): Promise<void> {
    if (this.store.getState().room.isConnected) await this.bridge.call('previewRole', { asRole: config.asRole, settings: config.settings });
    else await this.bridge.call('preview', withDefaults(config as HMSPreviewConfig));
  }

  cancelMidCallPreview(): Promise<void> {
    return this.bridge.call('cancelPreview');
  }

  /** Enters the room; settled when what the role and settings allow is published. */
  join(config: HMSConfig): Promise<void> {
    return this.bridge.call('join', withDefaults(config));
  }

  async leave(): Promise<void> {
    await this.bridge.call('leave');
    this.media.clear();
  }

  /** The token that a room code stands for. */
  async getAuthTokenByRoomCode(request: TokenRequest, options?: TokenRequestOptions): Promise<string> {
    const endpoint = new URL(options?.endpoint ?? '/v2/token', location.href).href;
    return (await this.bridge.call<{ token: string }>('getAuthTokenByRoomCode', { ...request, endpoint })).token;
  }

  setLocalAudioEnabled(enabled: boolean): Promise<void> {
    return this.bridge.call('setLocalEnabled', { type: 'audio', enabled });
  }

  setLocalVideoEnabled(enabled: boolean): Promise<void> {
    return this.bridge.call('setLocalEnabled', { type: 'video', enabled });
  }

  setEnabledTrack(trackId: HMSTrackID, enabled: boolean): Promise<void> {
    return this.bridge.call('setEnabledTrack', { trackId, enabled });
  }

  /** To be called from a click: the browser asks which screen. */
  setScreenShareEnabled(enabled: boolean, config: HMSScreenShareConfig = {}): Promise<void> {
    return this.bridge.call('setScreenShareEnabled', { enabled, config });
  }

  /** Publishes a track of your own: a canvas, a second camera. It belongs to the client from then on. */
  addTrack(track: MediaStreamTrack, source: HMSTrackSource = 'regular'): Promise<void> {
    return this.bridge.call('addTrack', { source }, track);
  }

  removeTrack(trackId: HMSTrackID): Promise<void> {
    return this.bridge.call('removeTrack', { trackId });
  }

  setAudioSettings(settings: Partial<HMSAudioTrackSettings>): Promise<void> {
    return this.bridge.call('setAudioSettings', settings);
  }

  setVideoSettings(settings: Partial<HMSVideoTrackSettings>): Promise<void> {
    return this.bridge.call('setVideoSettings', settings);
  }

  switchCamera(): Promise<void> {
    return this.bridge.call('switchCamera');
  }

  refreshDevices(): Promise<void> {
    return this.bridge.call('refreshDevices');
  }

  async setAudioOutputDevice(deviceId: string): Promise<void> {
    await this.media.output(deviceId);
    const state = this.store.getState();
    this.store.replace({ ...state, settings: Object.freeze({ ...state.settings, audioOutputDeviceId: deviceId }) });
  }

  /** Lets the browser choose the loudspeaker again, which follows what is plugged in. */
  async autoSelectAudioOutput(delay = 0): Promise<void> {
    await new Promise((done) => setTimeout(done, delay));
    await this.setAudioOutputDevice('');
  }

  /** To be called from a click, after the error 3008: starts sound that the browser held back. */
  unblockAudio(): Promise<void> {
    return this.media.unblock();
  }

  /** Loudness here, 0 to 100, of one track or of all. At 0 the server sends no more of it. */
  setVolume(value: number, trackId?: HMSTrackID): Promise<void> {
    this.media.volume(value, trackId);
    return this.bridge.call('setVolume', { value, trackId });
  }

  async attachVideo(trackId: HMSTrackID, element: HTMLVideoElement): Promise<void> {
    this.media.attach(trackId, element);
  }

  async detachVideo(trackId: HMSTrackID, element: HTMLVideoElement): Promise<void> {
    this.media.detach(trackId, element);
  }

  setPreferredLayer(trackId: HMSTrackID, layer: HMSPreferredSimulcastLayer): Promise<void> {
    return this.bridge.call('setPreferredLayer', { trackId, layer });
  }

  getNativeTrackById(trackId: HMSTrackID): MediaStreamTrack | undefined {
    return this.media.native(trackId);
  }

  getTrackById(trackId: HMSTrackID): HMSTrack | undefined {
    return this.store.getState().tracks[trackId];
  }

  sendMessage(message: string): void {
    this.sendBroadcastMessage(message).catch((error: unknown) => console.error('amphi: message not sent', error));
  }

  sendBroadcastMessage(message: string, type?: string): Promise<void> {
    return this.bridge.call('sendMessage', { message, type });
  }

  sendGroupMessage(message: string, roles: HMSRoleName[], type?: string): Promise<void> {
    return this.bridge.call('sendMessage', { message, roles, type });
  }

  sendDirectMessage(message: string, peerId: HMSPeerID, type?: string): Promise<void> {
    return this.bridge.call('sendMessage', { message, peerId, type });
  }

  /** Messages of these types are told, but not kept; instead of those ignored before with `replace`. */
  ignoreMessageTypes(types: string[], replace = false): void {
    void this.bridge.call('ignoreMessageTypes', { types, replace });
  }

  setMessageRead(read: boolean, messageId?: string): void {
    void this.bridge.call('setMessageRead', { read, messageId });
  }

  changeRole(forPeerId: HMSPeerID, toRole: HMSRoleName, force = false): Promise<void> {
    return this.changeRoleOfPeer(forPeerId, toRole, force);
  }

  changeRoleOfPeer(forPeerId: HMSPeerID, toRole: HMSRoleName, force = false): Promise<void> {
    return this.bridge.call('changeRoleOfPeer', { peerId: forPeerId, role: toRole, force });
  }

  changeRoleOfPeersWithRoles(roles: HMSRoleName[], toRole: HMSRoleName): Promise<void> {
    return this.bridge.call('changeRoleOfPeersWithRoles', { roles, role: toRole });
  }

  acceptChangeRole(request: HMSRoleChangeRequest): Promise<void> {
    return this.bridge.call('acceptChangeRole', { token: request.token });
  }

  /** Not told to who asked: the protocol has no message for it. */
  rejectChangeRole(request?: HMSRoleChangeRequest): void {
    const token = request?.token ?? selectRoleChangeRequest(this.store.getState())?.token;
    void this.bridge.call('rejectChangeRole', { token });
  }

  async setRemoteTrackEnabled(forRemoteTrackID: HMSTrackID | HMSTrackID[], enabled: boolean): Promise<void> {
    const trackIds = typeof forRemoteTrackID === 'string' ? [forRemoteTrackID] : forRemoteTrackID;
    await this.bridge.call('setRemoteTrackEnabled', { trackIds, enabled });
  }

  setRemoteTracksEnabled(params: HMSChangeMultiTrackStateParams): Promise<void> {
    return this.bridge.call('setRemoteTracksEnabled', params);
  }

  removePeer(peerId: HMSPeerID, reason: string): Promise<void> {
    return this.bridge.call('removePeer', { peerId, reason });
  }

  async endRoom(lock: boolean, reason: string): Promise<void> {
    await this.bridge.call('endRoom', { lock, reason });
    this.media.clear();
  }

  changeName(name: string): Promise<void> {
    return this.bridge.call('changeName', { name });
  }

  changeMetadata(metadata: string | object): Promise<void> {
    return this.bridge.call('changeMetadata', { metadata: text(metadata) });
  }

  raiseLocalPeerHand(): Promise<void> {
    return this.bridge.call('setHand', { raised: true });
  }

  lowerLocalPeerHand(): Promise<void> {
    return this.bridge.call('setHand', { raised: false });
  }

  raiseRemotePeerHand(peerId: HMSPeerID): Promise<void> {
    return this.bridge.call('setHand', { peerId, raised: true });
  }

  lowerRemotePeerHand(peerId: HMSPeerID): Promise<void> {
    return this.bridge.call('setHand', { peerId, raised: false });
  }

  getPeer(peerId: HMSPeerID): Promise<HMSPeer | undefined> {
    return this.bridge.call<HMSPeer | undefined>('getPeer', { peerId });
  }

  /** Values that all peers of the session share; they end with it. */
  readonly sessionStore: IHMSSessionStoreActions<T['sessionStore']> = {
    set: async (key, value) => {
      await this.bridge.call('setSessionValue', { key, value });
    },
    observe: (keys) => this.bridge.call('observeSession', { keys: [keys].flat(), on: true }),
    unobserve: (keys) => this.bridge.call('observeSession', { keys: [keys].flat(), on: false }),
  };

  /** @deprecated use sessionStore */
  setSessionMetadata(value: unknown): Promise<void> {
    return this.bridge.call('setSessionMetadata', { value });
  }

  /** @deprecated use sessionStore */
  populateSessionMetadata(): Promise<void> {
    return this.bridge.call('populateSessionMetadata');
  }

  /** Values of the application's own, kept in the store for its selectors; nobody else sees them. */
  initAppData(data: Record<string, any>): void {
    this.store.replace({ ...this.store.getState(), appData: freeze(data) });
  }

  /** With `merge` an object is added to the one that is there. */
  setAppData(key: string, value: unknown, merge = false): void {
    const state = this.store.getState();
    const old = state.appData?.[key] as unknown;
    const next = merge && isObject(old) && isObject(value) ? { ...old, ...value } : value;
    this.store.replace({ ...state, appData: freeze({ ...state.appData, [key]: next }) });
  }

  /** Polls, quizzes and the whiteboard. */
  readonly interactivityCenter = {
    whiteboard: this.whiteboard(),
    createPoll: async (poll: HMSPollCreateParams): Promise<void> => {
      await this.bridge.call('createPoll', poll);
    },
    /** Replaces the questions of a poll that has not been started. */
    addQuestionsToPoll: (id: string, questions: HMSPollQuestionCreateParams[]): Promise<void> =>
      this.bridge.call('setPollQuestions', { id, questions }),
    startPoll: async (poll: string | HMSPollCreateParams): Promise<void> => {
      const { id } = typeof poll === 'string' ? { id: poll } : await this.bridge.call<HMSPoll>('createPoll', poll);
      await this.bridge.call('startPoll', { id });
    },
    stopPoll: (id: string): Promise<void> => this.bridge.call('stopPoll', { id }),
    addResponsesToPoll: (id: string, responses: HMSPollQuestionResponseCreateParams[]): Promise<void> =>
      this.bridge.call('vote', { id, responses }),
    /** Puts the responses into the store: all, or only one's own. */
    getPollResponses: (poll: HMSPoll, self: boolean): Promise<void> => this.bridge.call('fetchResponses', { id: poll.id, self }),
    getPolls: async (): Promise<HMSPoll[]> => {
      const ids = (await this.bridge.call<HMSPoll[]>('fetchPolls')).map(({ id }) => id);
      const { polls } = this.store.getState();
      return ids.map((id) => polls[id]).filter((poll) => poll !== undefined);
    },
    /** Of a poll that has been stopped and is not anonymous; otherwise it is empty. */
    fetchLeaderboard: async (id: string, offset: number, count: number): Promise<HMSQuizLeaderboardResponse> => {
      const poll = this.store.getState().polls[id];
      if (poll && (poll.anonymous || poll.state !== 'stopped')) return { entries: [], hasNext: false };
      const board = await this.bridge.call<Leaderboard>('leaderboard', { id, offset, count });
      return {
        entries: board.questions.map(({ position, score, total_responses, correct_responses, duration, peer: { hash, ...peer } }) => ({
          position, score, totalResponses: total_responses, correctResponses: correct_responses, duration, peer: { userHash: hash, ...peer },
        })),
        hasNext: !board.last,
        summary: {
          avgScore: board.avg_score, avgTime: board.avg_time, votedUsers: board.voted_users, totalUsers: board.total_users,
          correctUsers: board.correct_users,
        },
      };
    },
  };

  /** Goes through the peers that options leave, also those that a large room does not list. */
  getPeerListIterator(options: HMSPeerListIteratorOptions = {}): HMSPeerListIterator {
    return new PeerListIterator(this.bridge, options);
  }

  /** Peers whose name contains the query; offset is where the next page begins. */
  findPeerByName(options: { query: string; limit?: number; offset?: number }): Promise<{ offset: number; eof?: boolean; peers: HMSPeer[] }> {
    return this.bridge.call('searchNames', { ...options, query: options.query.toLowerCase() });
  }

  startHLSStreaming(config: HLSConfig = {}): Promise<void> {
    return this.bridge.call('startHLSStreaming', config);
  }

  stopHLSStreaming(config: StopHLSConfig = {}): Promise<void> {
    return this.bridge.call('stopHLSStreaming', config);
  }

  /** Sends the composed picture to RTMP servers, records it, or both. */
  startRTMPOrRecording({ meetingURL, rtmpURLs, record, resolution }: RTMPRecordingConfig): Promise<void> {
    return this.bridge.call('startRTMPOrRecording', { meeting_url: meetingURL, rtmp_urls: rtmpURLs, record, resolution });
  }

  stopRTMPAndRecording(): Promise<void> {
    return this.bridge.call('stopRTMPAndRecording');
  }

  startTranscription(params: TranscriptionConfig): Promise<void> {
    return this.bridge.call('startTranscription', params);
  }

  stopTranscription(params: TranscriptionConfig): Promise<void> {
    return this.bridge.call('stopTranscription', params);
  }

  updateTranscriptionConfig(params: TranscriptionConfigUpdate): Promise<void> {
    return this.bridge.call('updateTranscription', params);
  }

  /** Payloads for the players of the stream, at this moment of it. */
  sendHLSTimedMetadata(metadataList: HLSTimedMetadata[]): Promise<void> {
    return this.bridge.call('sendHLSTimedMetadata', { metadataList });
  }

  /** What somebody thinks of the call that is over. */
  submitSessionFeedback(feedback: HMSSessionFeedback, endpoint?: string): Promise<void> {
    return this.bridge.call('submitFeedback', { feedback, endpoint });
  }

  /** How the client is connected; before a call it throws. */
  getDebugInfo(): DebugInfo | undefined {
    const { debug } = this.store.getState();
    if (!debug) throw new Error('getDebugInfo can only be called after join');
    return debug;
  }

  /** Something goes on that a reload would interrupt. */
  hasActiveElements(stats: { getState(): Pick<HMSStatsStore, 'remoteTrackStats'> }): boolean {
    const { whiteboards, polls, peers } = this.store.getState();
    if (!Object.keys(peers).length) return false;
    return Object.keys(whiteboards).length > 0 || Object.keys(polls).length > 0
      || Object.values(stats.getState().remoteTrackStats).some((track) => !!track && track.bitrate > 0);
  }

  /** Taken for compatibility; the server is told of this client itself. */
  setFrameworkInfo(_info: HMSFrameworkInfo): void {}

  /** Taken for compatibility: it tells a recording browser who speaks, and here no browser records. */
  async enableBeamSpeakerLabelsLogging(): Promise<void> {}

  setLogLevel(level: HMSLogLevel): void {
    void this.bridge.call('setLogLevel', { level });
  }

  private whiteboard() {
    const { store, bridge } = this;
    return {
      /** The server has whiteboards at all. */
      get isEnabled(): boolean {
        return !!store.getState().debug?.enabledFlags?.includes('whiteboardEnabled');
      },
      open: (options: HMSWhiteboardCreateOptions = {}): Promise<void> => bridge.call('openWhiteboard', options),
      close: (id?: string): Promise<void> => bridge.call('closeWhiteboard', { id }),
    };
  }
}

export interface IHMSSessionStoreActions<T> {
  /** Without a value the key is deleted. */
  set<K extends keyof T>(key: K, value?: T[K]): Promise<void>;
  /** From now on the store has these values, the present ones first. */
  observe(keys: keyof T | (keyof T)[]): Promise<void>;
  unobserve(keys: keyof T | (keyof T)[]): Promise<void>;
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value);

class PeerListIterator implements HMSPeerListIterator {
  private iterator?: string;
  private total = 0;
  private end = false;

  constructor(private readonly bridge: Bridge, private readonly options: HMSPeerListIteratorOptions) {}

  hasNext(): boolean {
    return !this.end;
  }

  getTotal(): number {
    return this.total;
  }

  /** The first of them, from the beginning. */
  async findPeers(): Promise<HMSPeer[]> {
    return this.take(await this.bridge.call<PeerPage>('findPeers', { ...this.options }));
  }

  async next(): Promise<HMSPeer[]> {
    if (this.iterator === undefined) return this.findPeers();
    return this.take(await this.bridge.call<PeerPage>('nextPeers', { iterator: this.iterator, limit: this.options.limit }));
  }

  private take({ iterator, total, eof, peers }: PeerPage): HMSPeer[] {
    Object.assign(this, { iterator, total, end: eof });
    return peers;
  }
}

interface Leaderboard {
  questions: {
    position: number; score: number; total_responses: number; correct_responses: number; duration: number;
    peer: { hash: string; peerid?: string; userid?: string; username?: string };
  }[];
  last: boolean;
  avg_score: number;
  avg_time: number;
  voted_users: number;
  total_users: number;
  correct_users: number;
}

interface PeerPage {
  iterator: string;
  total: number;
  eof: boolean;
  peers: HMSPeer[];
}

const text = (value: string | object | undefined) =>
  value === undefined || typeof value === 'string' ? (value ?? '') : JSON.stringify(value);

function withDefaults(config: HMSConfig): object {
  if (!config.authToken) throw new HMSError({ code: 2004, name: 'InvalidTokenFormat', description: 'authToken is missing', isTerminal: true });
  return {
    ...config,
    metaData: text(config.metaData),
    initEndpoint: new URL(config.initEndpoint ?? '/', location.href).href,
    iceServers: config.iceServers?.map(({ urls, userName, password }) => ({ urls, username: userName, credential: password })),
  };
}
