// hls.js with the Go policy for live streams: the same class, options, events and errors. Where a browser has no
// Media Source Extensions but plays HLS itself (older iPhones), the element does it, behind the same class.
//
//   import Hls from 'amphi/hls';

import Base, { ErrorDetails, ErrorTypes, Events } from 'hls.js';
import type { HlsConfig, MediaAttachingData } from 'hls.js';
import { LiveEdge } from './live-edge.js';
import type { LiveState } from './live-edge.js';
import { TimedMetadataQueue } from './timed-metadata.js';
import type { TimedMetadata } from './timed-metadata.js';

export * from 'hls.js';
export type { LiveState, TimedMetadata };

/** Events besides those of hls.js. */
export const AmphiEvents = {
  /** Ten times a second while a live stream is attached: delay, rate and buffer. */
  LIVE: 'amphiLive',
  /** Timed metadata of the host, at its moment. */
  TIMED_METADATA: 'amphiTimedMetadata',
} as const;

declare module 'hls.js' {
  interface HlsListeners {
    amphiLive: (event: 'amphiLive', state: LiveState) => void;
    amphiTimedMetadata: (event: 'amphiTimedMetadata', data: TimedMetadata) => void;
  }
}

export interface AmphiHlsConfig extends HlsConfig {
  /** Leave rate and position of live streams to hls.js and to you. */
  disableLivePolicy?: boolean;
}

const liveOptions = ['liveSyncDuration', 'liveSyncDurationCount', 'liveMaxLatencyDuration', 'liveMaxLatencyDurationCount'] as const;

/** Options that fit the policy, where the application has none of its own. */
function withDefaults(config: Partial<AmphiHlsConfig>): Partial<HlsConfig> {
  const { disableLivePolicy = false, ...own } = config;
  if (disableLivePolicy) return own;
  return {
    lowLatencyMode: true,
    backBufferLength: 30,
    // There is nothing to transmux in fMP4. A worker takes hundreds of milliseconds to start, in which hls.js may pass over
    // a part, stand still, and stay ten seconds behind the live edge from then on.
    enableWorker: false,
    // Up to so many seconds before its end, a segment counts as played when hls.js looks for the next one. Its own 0.25 is
    // more than our parts of 0.2: it may pass over the last one, and jumps over the hole. Sound may end 0.043 before pictures.
    maxFragLookUpTolerance: 0.1,
    ...(liveOptions.some((name) => name in own) ? {} : { liveSyncDuration: 1, liveMaxLatencyDuration: 12 }),
    ...own,
    maxLiveSyncPlaybackRate: 1, // the rate belongs to the policy
  };
}

export class Hls extends Base {
  private readonly native = !Base.isSupported();
  private readonly hasPolicy: boolean;
  private readonly metadata = new TimedMetadataQueue();
  private edge?: LiveEdge;
  /** Of the element's own player. */
  private source: string | null = null;
  private element: HTMLMediaElement | null = null;
  private stopListening?: AbortController;

  constructor(config: Partial<AmphiHlsConfig> = {}) {
    super(withDefaults(config));
    this.hasPolicy = !config.disableLivePolicy && !this.native;
    this.on(Events.MEDIA_ATTACHED, (_, { media }) => this.follow(media));
    this.on(Events.MEDIA_DETACHING, () => this.edge?.rest());
    this.on(Events.LEVEL_UPDATED, (_, { details }) => this.metadata.add(details.dateRanges));
  }

  static override isSupported(): boolean {
    return Base.isSupported() || playsNatively();
  }

  /** Back to the live edge, from wherever the viewer went. */
  seekToLive(): void {
    this.edge?.seekToLive();
  }

  override get url(): string | null {
    return this.native ? this.source : super.url;
  }

  override get media(): HTMLMediaElement | null {
    return this.native ? this.element : super.media;
  }

  override loadSource(url: string): void {
    if (!this.native) return super.loadSource(url);
    this.source = new URL(url, location.href).href;
    this.trigger(Events.MANIFEST_LOADING, { url: this.source });
    if (this.element) this.element.src = this.source;
  }

  override attachMedia(data: HTMLMediaElement | MediaAttachingData): void {
    if (!this.native) return super.attachMedia(data);
    const media = 'media' in data ? data.media : data;
    if (!media) return;
    this.element = media;
    this.listen(media);
    this.trigger(Events.MEDIA_ATTACHED, { media });
    if (this.source) media.src = this.source;
  }

  override detachMedia(): void {
    if (!this.native) return super.detachMedia();
    this.trigger(Events.MEDIA_DETACHING, {});
    this.stopListening?.abort();
    this.element?.removeAttribute('src');
    this.element?.load();
    this.element = null;
    this.trigger(Events.MEDIA_DETACHED, {});
  }

  override destroy(): void {
    this.unfollow();
    if (this.native && this.element) this.detachMedia();
    super.destroy();
  }

  private follow(media: HTMLMediaElement): void {
    if (this.edge?.media === media) {
      this.edge.resume(); // after an error of the media, for one
      return;
    }
    this.unfollow();
    if (!this.hasPolicy) return;
    const playingDate = () => this.playingDate;
    this.edge = new LiveEdge(media, {
      playingDate,
      isLive: () => !!this.latestLevelDetails?.live,
      reload: () => this.recoverMediaError(),
    }, (state) => {
      this.trigger(AmphiEvents.LIVE, state);
      for (const data of this.metadata.due(playingDate())) this.trigger(AmphiEvents.TIMED_METADATA, data);
    });
  }

  private unfollow(): void {
    this.edge?.stop();
    this.edge = undefined;
  }

  /** The element's own player, in the words of hls.js. */
  private listen(media: HTMLMediaElement): void {
    this.stopListening?.abort();
    this.stopListening = new AbortController();
    const { signal } = this.stopListening;
    media.addEventListener('loadedmetadata', () => {
      this.trigger(Events.MANIFEST_PARSED, {
        levels: [], iframeVariants: [], audioTracks: [], subtitleTracks: [], firstLevel: -1, stats: undefined as never, audio: true, video: true,
        altAudio: false, sessionData: null, sessionKeys: null,
      });
    }, { signal });
    media.addEventListener('error', () => {
      const network = media.error?.code === MediaError.MEDIA_ERR_NETWORK;
      const error = new Error(media.error?.message || 'the stream cannot be played');
      this.trigger(Events.ERROR, {
        type: network ? ErrorTypes.NETWORK_ERROR : ErrorTypes.MEDIA_ERROR, fatal: true, error,
        details: network ? ErrorDetails.MANIFEST_LOAD_ERROR : ErrorDetails.BUFFER_APPEND_ERROR,
      });
    }, { signal });
  }
}

const playsNatively = () =>
  typeof document !== 'undefined' && !!document.createElement('video').canPlayType('application/vnd.apple.mpegurl');

export default Hls;
