// Level 3 in the page: hls.js moves the bytes, the Go policy (wasm/player) decides rate and position.

import type HlsType from 'hls.js';
import type { GoPlayer } from './bridge.js';
import { assetURL, goProgram } from './bridge.js';

export enum HMSHLSPlayerEvents {
  TIMED_METADATA_LOADED = 'timed-metadata',
  SEEK_POS_BEHIND_LIVE_EDGE = 'seek-pos-behind-live-edge',
  CURRENT_TIME = 'current-time',
  AUTOPLAY_BLOCKED = 'autoplay-blocked',
  MANIFEST_LOADED = 'manifest-loaded',
  LAYER_UPDATED = 'layer-updated',
  ERROR = 'error',
  PLAYBACK_STATE = 'playback-state',
  STATS = 'stats',
}

export enum HLSPlaybackState {
  playing = 'playing',
  paused = 'paused',
}

/** One quality of the stream. */
export interface HMSHLSLayer {
  readonly id?: number;
  readonly bitrate: number;
  readonly width?: number;
  readonly height?: number;
  /** "1280x720", or "auto" to let the bandwidth decide. */
  resolution?: string;
  url: string;
}

export interface HMSHLSStats {
  /** `playing`, `behind` (the viewer went back in time), `starved`, `paused` or `idle`. */
  state: string;
  /** Delay behind the moment it happened, in seconds; NaN while unknown. */
  latency: number;
  /** What is buffered ahead, and how much the policy wants, in seconds. */
  buffer: number;
  target: number;
  rate: number;
  droppedFrames: number;
  bitrate: number;
}

export interface HMSHLSPlayerEventData {
  'timed-metadata': { id?: string; payload: string; duration: number; startDate: Date; endDate?: Date };
  'seek-pos-behind-live-edge': { isLive: boolean };
  'current-time': number;
  'autoplay-blocked': Error;
  'manifest-loaded': { layers: HMSHLSLayer[] };
  'layer-updated': { layer: HMSHLSLayer };
  error: { name: string; message: string; isTerminal: boolean; nativeError?: Error };
  'playback-state': { state: HLSPlaybackState };
  stats: HMSHLSStats;
}

const loadEngine = () => import(assetURL('hls')) as Promise<{ Hls: typeof HlsType }>;

/** Loads the engine before there is anything to play. */
export function preloadPlayer(): void {
  loadEngine().catch(() => {}); // who plays tries again, and hears of it
}

type EventName = keyof HMSHLSPlayerEventData;
type Listener<E extends EventName> = (data: HMSHLSPlayerEventData[E], name: E) => void;

const auto: HMSHLSLayer = { resolution: 'auto', bitrate: 0, url: '' };
const tickMs = 100;
const statsEveryTicks = 20;
/** A stream that ended or is not there yet is asked for again, ever more slowly. */
const retryMs = [500, 1000, 2000, 4000];

export class HMSHLSPlayer {
  private readonly video: HTMLVideoElement;
  private readonly listeners = new Map<EventName, Set<Listener<EventName>>>();
  private readonly closing = new AbortController();
  private hls?: HlsType;
  private policy?: GoPlayer;
  private timer = 0;
  private ticks = 0;
  private retries = 0;
  private live = true;
  private stopped = false;
  private fired = new Set<string>();

  /** Starts loading; plays when the browser lets it, else tells `autoplay-blocked`. */
  constructor(private readonly url: string, video?: HTMLVideoElement) {
    if (!new URL(url, location.href).pathname.endsWith('m3u8')) throw new Error(`amphi: not an HLS address: ${url}`);
    this.video = video ?? document.createElement('video');
    this.video.playsInline = true;
    const listen = <K extends keyof HTMLMediaElementEventMap>(name: K, handler: () => void) =>
      this.video.addEventListener(name, handler, { signal: this.closing.signal });
    listen('play', () => this.emit('playback-state', { state: HLSPlaybackState.playing }));
    listen('pause', () => this.emit('playback-state', { state: HLSPlaybackState.paused }));
    listen('timeupdate', () => this.emit('current-time', this.video.currentTime));
    this.start().catch((error: unknown) => this.fail('load', error, true));
  }

  /** MSE first: a browser's own HLS knows no low latency. */
  static isSupported(): boolean {
    const source = (globalThis as { ManagedMediaSource?: typeof MediaSource }).ManagedMediaSource ?? globalThis.MediaSource;
    return !!source?.isTypeSupported('video/mp4; codecs="avc1.42E01E,mp4a.40.2"') || playsNatively();
  }

  getVideoElement(): HTMLVideoElement {
    return this.video;
  }

  on<E extends EventName>(name: E | `${E}`, listener: Listener<E>): void {
    let set = this.listeners.get(name as E);
    if (!set) this.listeners.set(name as E, (set = new Set()));
    set.add(listener as unknown as Listener<EventName>);
  }

  off<E extends EventName>(name: E | `${E}`, listener: Listener<E>): void {
    this.listeners.get(name as E)?.delete(listener as unknown as Listener<EventName>);
  }

  async play(): Promise<void> {
    try {
      await this.video.play();
    } catch (error) {
      if (error instanceof DOMException && error.name === 'NotAllowedError') this.emit('autoplay-blocked', error);
      else if (!(error instanceof DOMException && error.name === 'AbortError')) throw error;
    }
  }

  pause(): void {
    this.video.pause();
  }

  /** 0 to 100. */
  get volume(): number {
    return Math.round(this.video.volume * 100);
  }

  setVolume(volume: number): void {
    this.video.volume = Math.min(1, Math.max(0, volume / 100));
  }

  getLayer(): HMSHLSLayer | null {
    if (!this.hls || this.hls.autoLevelEnabled) return this.hls ? auto : null;
    return this.layer(this.hls.currentLevel) ?? null;
  }

  getLayers(): HMSHLSLayer[] {
    return (this.hls?.levels ?? []).map((_, i) => this.layer(i)!);
  }

  /** By resolution; one that is not there means auto. */
  setLayer(layer: HMSHLSLayer): void {
    if (this.hls) this.hls.currentLevel = this.getLayers().findIndex((other) => other.resolution === layer.resolution);
  }

  async seekToLivePosition(): Promise<void> {
    this.policy?.seekToLive();
    const edge = this.liveEdge();
    if (!Number.isNaN(edge)) this.video.currentTime = Math.max(0, edge - 1);
    await this.play();
  }

  seekTo(seconds: number): void {
    this.video.currentTime = seconds;
  }

  hasCaptions(): boolean {
    return !!this.hls?.subtitleTracks.length;
  }

  toggleCaption(): void {
    if (this.hls) this.hls.subtitleDisplay = !this.hls.subtitleDisplay;
  }

  /** Ends playback and frees everything; the element stays. */
  reset(): void {
    this.stopped = true;
    window.clearTimeout(this.timer);
    this.closing.abort();
    this.hls?.destroy();
    this.hls = undefined;
    this.policy?.release();
    this.policy = undefined;
    this.video.playbackRate = 1;
    this.video.removeAttribute('src');
    this.video.load();
    this.listeners.clear();
  }

  private async start(): Promise<void> {
    const { Hls } = await loadEngine();
    if (this.stopped) return;
    if (!Hls.isSupported()) {
      this.video.src = this.url; // Apple's own player
      await this.play();
      return;
    }
    const hls = (this.hls = new Hls({
      lowLatencyMode: true,
      liveSyncDuration: 1,
      liveMaxLatencyDuration: 12,
      maxLiveSyncPlaybackRate: 1, // the rate belongs to the policy
      backBufferLength: 30,
      manifestLoadPolicy: { default: retrying() },
      playlistLoadPolicy: { default: retrying() },
      fragLoadPolicy: { default: retrying() },
    }));
    hls.on(Hls.Events.MANIFEST_PARSED, () => {
      this.retries = 0;
      this.emit('manifest-loaded', { layers: this.getLayers() });
      void this.play();
    });
    hls.on(Hls.Events.LEVEL_SWITCHED, (_, { level }) => {
      const layer = this.layer(level);
      if (layer) this.emit('layer-updated', { layer });
    });
    hls.on(Hls.Events.LEVEL_UPDATED, (_, { details }) => this.cues(details.dateRanges));
    hls.on(Hls.Events.ERROR, (_, data) => {
      if (!data.fatal) return;
      if (data.type === Hls.ErrorTypes.MEDIA_ERROR && this.retries++ < retryMs.length) {
        hls.recoverMediaError();
        return;
      }
      this.fail(data.details, data.error, false);
      this.retry();
    });
    hls.loadSource(this.url);
    hls.attachMedia(this.video);
    // The policy comes when the Go program is there; until then the stream plays at rate 1.
    this.policy = await goProgram().then((go) => go.player(), () => undefined);
    if (this.stopped) this.policy?.release();
    else this.tick();
  }

  private retry(): void {
    const wait = retryMs[Math.min(this.retries++, retryMs.length - 1)]!;
    window.setTimeout(() => {
      if (this.stopped) return;
      this.hls?.loadSource(this.url);
      this.hls?.startLoad();
    }, wait);
  }

  private tick(): void {
    if (this.stopped) return;
    this.timer = window.setTimeout(() => this.tick(), tickMs);
    const { video } = this;
    const now = performance.now();
    const end = bufferEnd(video);
    let decision;
    try {
      decision = this.policy?.tick(now, video.currentTime, end, this.liveEdge(), this.wallLatency(), video.paused || video.ended,
        video.seeking, !video.seeking && video.readyState < HTMLMediaElement.HAVE_FUTURE_DATA);
    } catch {
      this.policy = undefined; // the Go program ended: the stream plays on at rate 1
    }
    if (!decision) return;
    if (Math.abs(video.playbackRate - decision.rate) > 0.001) video.playbackRate = decision.rate;
    if (Number.isFinite(decision.seek)) video.currentTime = decision.seek;
    if (decision.reload) this.hls?.recoverMediaError();
    const isLive = decision.state !== 'behind';
    if (isLive !== this.live) {
      this.live = isLive;
      this.emit('seek-pos-behind-live-edge', { isLive });
    }
    this.fireCues();
    if (this.ticks++ % statsEveryTicks === 0) {
      this.emit('stats', {
        state: decision.state, latency: decision.latency, target: decision.target, rate: decision.rate,
        buffer: end - video.currentTime,
        droppedFrames: video.getVideoPlaybackQuality?.().droppedVideoFrames ?? 0,
        bitrate: this.hls?.levels[this.hls.currentLevel]?.bitrate ?? 0,
      });
    }
  }

  private liveEdge(): number {
    const { seekable } = this.video;
    return seekable.length ? seekable.end(seekable.length - 1) : NaN;
  }

  /** Seconds between the moment a picture was made (PROGRAM-DATE-TIME) and now. */
  private wallLatency(): number {
    const date = this.hls?.playingDate;
    return date ? (Date.now() - date.getTime()) / 1000 : NaN;
  }

  private layer(index: number): HMSHLSLayer | undefined {
    const level = this.hls?.levels[index];
    if (!level) return undefined;
    const { bitrate, width, height } = level;
    return { id: index, bitrate, width, height, resolution: level.attrs.RESOLUTION ?? `${width}x${height}`, url: level.uri };
  }

  private waitingCues: { id: string; at: number; data: HMSHLSPlayerEventData['timed-metadata'] }[] = [];

  /** Timed metadata: EXT-X-DATERANGE with a base64 payload, each told once, when its time is played. */
  private cues(ranges: Record<string, { id: string; startDate: Date; attr: Record<string, string | undefined> } | undefined>): void {
    for (const range of Object.values(ranges)) {
      const encoded = range?.attr['X-100MSLIVE-PAYLOAD'];
      if (!range || !encoded || this.fired.has(range.id)) continue;
      this.fired.add(range.id);
      try {
        const { payload, start_date, end_date } = JSON.parse(atob(encoded)) as { payload: string; start_date: string; end_date: string };
        const startDate = new Date(start_date);
        const endDate = new Date(end_date);
        this.waitingCues.push({
          id: range.id, at: startDate.getTime(),
          data: { id: range.id, payload, startDate, endDate, duration: endDate.getTime() - startDate.getTime() },
        });
      } catch {
        // Not ours.
      }
    }
  }

  private fireCues(): void {
    const now = this.hls?.playingDate?.getTime();
    if (now === undefined || this.waitingCues.length === 0) return;
    const due = this.waitingCues.filter((cue) => cue.at <= now);
    this.waitingCues = this.waitingCues.filter((cue) => cue.at > now);
    for (const cue of due) this.emit('timed-metadata', cue.data);
  }

  private fail(name: string, cause: unknown, isTerminal: boolean): void {
    const nativeError = cause instanceof Error ? cause : undefined;
    this.emit('error', { name, message: nativeError?.message ?? String(cause ?? name), isTerminal, nativeError });
  }

  private emit<E extends EventName>(name: E, data: HMSHLSPlayerEventData[E]): void {
    for (const listener of [...(this.listeners.get(name) ?? [])]) {
      try {
        (listener as unknown as Listener<E>)(data, name);
      } catch (error) {
        console.error('amphi: player listener failed', error);
      }
    }
  }
}

/** End of the buffered range that the position is in; NaN outside of all. */
function bufferEnd(video: HTMLVideoElement): number {
  const { buffered, currentTime } = video;
  for (let i = 0; i < buffered.length; i++) {
    if (currentTime >= buffered.start(i) - 0.1 && currentTime <= buffered.end(i)) return buffered.end(i);
  }
  return NaN;
}

const playsNatively = () => !!document.createElement('video').canPlayType('application/vnd.apple.mpegurl');

const retrying = () => ({
  maxTimeToFirstByteMs: 8000,
  maxLoadTimeMs: 20000,
  timeoutRetry: { maxNumRetry: 5, retryDelayMs: 0, maxRetryDelayMs: 0 },
  errorRetry: { maxNumRetry: 8, retryDelayMs: 300, maxRetryDelayMs: 2000 },
});
