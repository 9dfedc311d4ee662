// Level 3 in the page, with the class of @100mslive/hls-player. What plays is Hls of hls.ts, a chunk of its own that
// only who plays HLS loads.

import type { Hls } from './hls.js';
import type { LiveState } from './live-edge.js';
import type { TimedMetadata } from './timed-metadata.js';

export enum HMSHLSPlayerEvents {
  TIMED_METADATA_LOADED = 'timed-metadata',
  SEEK_POS_BEHIND_LIVE_EDGE = 'seek-pos-behind-live-edge',
  CURRENT_TIME = 'current-time',
  AUTOPLAY_BLOCKED = 'autoplay-blocked',
  MANIFEST_LOADED = 'manifest-loaded',
  LAYER_UPDATED = 'layer-updated',
  CAPTION_ENABLED = 'caption-enabled',
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

export interface HMSHLSStats extends LiveState {
  droppedFrames: number;
  bitrate: number;
}

export interface HMSHLSPlayerEventData {
  'timed-metadata': TimedMetadata;
  'seek-pos-behind-live-edge': { isLive: boolean };
  'current-time': number;
  'autoplay-blocked': Error;
  'manifest-loaded': { layers: HMSHLSLayer[] };
  'layer-updated': { layer: HMSHLSLayer };
  'caption-enabled': boolean;
  error: { name: string; message: string; description: string; isTerminal: boolean; nativeError?: Error };
  'playback-state': { state: HLSPlaybackState };
  stats: HMSHLSStats;
}

const loadEngine = () => import('./hls.js');

/** Loads the engine before there is anything to play. */
export function preloadPlayer(): void {
  loadEngine().catch(() => {}); // who plays tries again, and hears of it
}

type EventName = keyof HMSHLSPlayerEventData;
type Listener<E extends EventName> = (data: HMSHLSPlayerEventData[E], name: E) => void;

const auto: HMSHLSLayer = { resolution: 'auto', bitrate: 0, url: '' };
const statsEveryMs = 2000;
/** A stream that ended or is not there yet is asked for again, ever more slowly. */
const retryMs = [500, 1000, 2000, 4000];

export class HMSHLSPlayer {
  private readonly video: HTMLVideoElement;
  private readonly listeners = new Map<EventName, Set<Listener<EventName>>>();
  private readonly closing = new AbortController();
  private hls?: Hls;
  private retries = 0;
  private live = true;
  private toldStats = 0;

  /** Starts loading; plays when the browser lets it, else tells `autoplay-blocked`. */
  constructor(private readonly url: string, video?: HTMLVideoElement) {
    if (!new URL(url, location.href).pathname.endsWith('m3u8')) throw new Error(`amphi: not an HLS address: ${url}`);
    this.video = video ?? document.createElement('video');
    this.video.playsInline = true;
    const listen = <K extends keyof HTMLMediaElementEventMap>(name: K, handler: () => void) =>
      this.video.addEventListener(name, handler, { signal: this.closing.signal });
    listen('play', () => this.emitEvent('playback-state', { state: HLSPlaybackState.playing }));
    listen('pause', () => this.emitEvent('playback-state', { state: HLSPlaybackState.paused }));
    listen('timeupdate', () => this.emitEvent('current-time', this.video.currentTime));
    this.start().catch((error: unknown) => this.fail('load', error, true));
  }

  /** MSE first: a browser's own HLS knows no low latency. */
  static isSupported(): boolean {
    const source = (globalThis as { ManagedMediaSource?: typeof MediaSource }).ManagedMediaSource ?? globalThis.MediaSource;
    return !!source?.isTypeSupported('video/mp4; codecs="avc1.42E01E,mp4a.40.2"')
      || !!document.createElement('video').canPlayType('application/vnd.apple.mpegurl');
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
      if (error instanceof DOMException && error.name === 'NotAllowedError') this.emitEvent('autoplay-blocked', error);
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
    this.hls?.seekToLive();
    await this.play();
  }

  seekTo(seconds: number): void {
    this.video.currentTime = seconds;
  }

  hasCaptions(): boolean {
    return !!this.hls?.subtitleTracks.length;
  }

  toggleCaption(): void {
    if (!this.hls || !this.hasCaptions()) return;
    this.hls.subtitleDisplay = !this.hls.subtitleDisplay;
    this.emitEvent('caption-enabled', this.hls.subtitleDisplay);
  }

  /** Ends playback and frees everything; the element stays. */
  reset(): void {
    this.closing.abort();
    this.hls?.destroy();
    this.hls = undefined;
    this.video.removeAttribute('src');
    this.video.load();
    this.listeners.clear();
  }

  private async start(): Promise<void> {
    const { Hls, AmphiEvents } = await loadEngine();
    if (this.closing.signal.aborted) return;
    const hls = (this.hls = new Hls({
      manifestLoadPolicy: { default: retrying() },
      playlistLoadPolicy: { default: retrying() },
      fragLoadPolicy: { default: retrying() },
    }));
    hls.on(Hls.Events.MANIFEST_PARSED, () => {
      this.retries = 0;
      this.emitEvent('manifest-loaded', { layers: this.getLayers() });
      void this.play();
    });
    hls.on(Hls.Events.LEVEL_SWITCHED, (_, { level }) => {
      const layer = this.layer(level);
      if (layer) this.emitEvent('layer-updated', { layer });
    });
    hls.on(Hls.Events.SUBTITLE_TRACKS_UPDATED, () => {
      if (this.hasCaptions()) this.emitEvent('caption-enabled', hls.subtitleDisplay);
    });
    hls.on(Hls.Events.ERROR, (_, data) => {
      if (!data.fatal) return;
      if (data.type === Hls.ErrorTypes.MEDIA_ERROR && this.retries++ < retryMs.length) {
        hls.recoverMediaError();
        return;
      }
      this.fail(data.details, data.error, false);
      this.retry();
    });
    hls.on(AmphiEvents.TIMED_METADATA, (_, data) => this.emitEvent('timed-metadata', data));
    hls.on(AmphiEvents.LIVE, (_, state) => this.watch(state));
    hls.loadSource(this.url);
    hls.attachMedia(this.video);
  }

  private retry(): void {
    const wait = retryMs[Math.min(this.retries++, retryMs.length - 1)]!;
    window.setTimeout(() => {
      this.hls?.loadSource(this.url);
      this.hls?.startLoad();
    }, wait);
  }

  private watch(state: LiveState): void {
    const isLive = state.state !== 'behind';
    if (isLive !== this.live) {
      this.live = isLive;
      this.emitEvent('seek-pos-behind-live-edge', { isLive });
    }
    const now = performance.now();
    if (this.toldStats && now - this.toldStats < statsEveryMs) return;
    this.toldStats = now;
    this.emitEvent('stats', {
      ...state,
      droppedFrames: this.video.getVideoPlaybackQuality?.().droppedVideoFrames ?? 0,
      bitrate: this.hls?.levels[this.hls.currentLevel]?.bitrate ?? 0,
    });
  }

  private layer(index: number): HMSHLSLayer | undefined {
    const level = this.hls?.levels[index];
    if (!level) return undefined;
    const { bitrate, width, height } = level;
    return { id: index, bitrate, width, height, resolution: level.attrs.RESOLUTION ?? `${width}x${height}`, url: level.uri };
  }

  private fail(name: string, cause: unknown, isTerminal: boolean): void {
    const nativeError = cause instanceof Error ? cause : undefined;
    const message = nativeError?.message ?? String(cause ?? name);
    this.emitEvent('error', { name, message, description: message, isTerminal, nativeError });
  }

  /** Tells listeners; for applications that add events of their own. */
  emitEvent<E extends EventName>(name: E, data: HMSHLSPlayerEventData[E]): boolean {
    const listeners = [...(this.listeners.get(name) ?? [])];
    for (const listener of listeners) {
      try {
        (listener as unknown as Listener<E>)(data, name);
      } catch (error) {
        console.error('amphi: player listener failed', error);
      }
    }
    return listeners.length > 0;
  }
}

const retrying = () => ({
  maxTimeToFirstByteMs: 8000,
  maxLoadTimeMs: 20000,
  timeoutRetry: { maxNumRetry: 5, retryDelayMs: 0, maxRetryDelayMs: 0 },
  errorRetry: { maxNumRetry: 8, retryDelayMs: 300, maxRetryDelayMs: 2000 },
});
