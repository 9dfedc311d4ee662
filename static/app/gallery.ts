// Level 3: the composed live stream, and going back in it where the template keeps it (DVR).
import { html, nothing } from 'lit';
import { duration } from './format.js';
import { selectLive } from './live-state.js';
import { menu, toggleMenu } from './menu.js';
import { canFloat, float } from './pip.js';
import { HLSPlaylistType, HMSHLSPlayer, HMSHLSPlayerEvents, selectHLSState } from './sdk.js';
import type { HMSHLSLayer, HMSHLSStats } from './sdk.js';
import { streamURL } from './stream-url.js';
import { View, icon, mark, when } from './view.js';
import { Watch } from './watch.js';

type State = 'waiting' | 'starting' | 'loading' | 'playing' | 'paused' | 'blocked' | 'ended' | 'unsupported';

/** The picture here is older than the news that the stream ended: it is played out, for at most this long. */
const longestDrainMs = 4000;

/** A step of the seek bar's arrow keys, and of going back. */
const stepSeconds = 10;
/** So near to the end counts as live. */
const edgeSeconds = 5;
const auto: HMSHLSLayer = { resolution: 'auto', bitrate: 0, url: '' };

/** The name of a quality: 1280x720 is 720p, 720x1280 too. */
export function qualityName({ width = 0, height = 0, resolution }: Pick<HMSHLSLayer, 'width' | 'height' | 'resolution'>): string {
  const short = Math.min(width, height);
  return short > 0 ? `${short}p` : resolution ?? '';
}

const cover: Partial<Record<State, { title: string; text: string }>> = {
  waiting: { title: 'The stream has not started yet', text: 'Stay here: it begins to play by itself. You can chat in the meantime.' },
  starting: { title: 'The stream is starting', text: 'Just a few seconds.' },
  ended: { title: 'The stream has ended', text: 'Thank you for watching. If it starts again, it plays here.' },
  unsupported: { title: 'This browser cannot play the stream', text: 'Open the link in an up-to-date Chrome, Edge, Firefox or Safari.' },
};

class Gallery extends View {
  private readonly live = new Watch(this, selectLive);
  private readonly hls = new Watch(this, selectHLSState);
  private player?: HMSHLSPlayer;
  private url = '';
  private state: State = 'waiting';
  private silent = false;
  private atEdge = true;
  private latency = NaN;
  private drain = 0;
  private layers: HMSHLSLayer[] = [];
  /** Seconds that can be gone back, and where in them the picture is. */
  private window = { begin: 0, end: 0, now: 0 };

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearTimeout(this.drain);
    this.close();
  }

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.hasUpdated) this.requestUpdate();
  }

  protected override willUpdate(): void {
    const live = this.live.value;
    if (live === 'live') {
      clearTimeout(this.drain);
      this.drain = 0;
      if (this.player && this.url === this.hls.value.variants[0]!.url) return;
      this.close();
      this.state = HMSHLSPlayer.isSupported() ? 'loading' : 'unsupported';
    } else if (!this.player) {
      if (this.state !== 'ended' || live === 'starting') this.state = live === 'starting' ? 'starting' : 'waiting';
    } else if (!this.drain) {
      const rest = Number.isFinite(this.latency) ? this.latency * 1000 : 1000;
      this.drain = window.setTimeout(() => {
        this.drain = 0;
        this.close();
        this.become('ended');
      }, Math.min(rest, longestDrainMs));
    }
  }

  protected override render() {
    const { state } = this;
    const said = cover[state];
    const shows = state === 'playing' || state === 'paused' || state === 'blocked';
    return html`<div class="player" data-testid="stream-state" data-state=${state} data-latency=${Number.isFinite(this.latency) ? this.latency.toFixed(2) : ''}>
      <video playsinline data-testid="hls-video" aria-label="Live stream" @resize=${this.shape} ?hidden=${!shows && state !== 'loading'}></video>
      ${when(shows, () => html`<div class="player-top">
        <span class="live-badge" data-testid="live-badge">LIVE</span>
        ${when(Number.isFinite(this.latency) && state === 'playing' && this.atEdge, () => html`<span class="player-delay" data-testid="stream-delay"
          title="How long ago this happened on stage">${this.latency.toFixed(1)} s delay</span>`)}</div>`)}
      <div role="status" aria-live="polite">
        ${when(state === 'loading', () => html`<div class="player-cover"><span class="spinner"></span><p>Loading the stream…</p></div>`)}
        ${said ? html`<div class="player-cover">${mark()}<strong>${said.title}</strong><p>${said.text}</p></div>` : nothing}
      </div>
      ${when(state === 'blocked' || (state === 'paused' && !this.keeps), () => html`<div class="player-cover player-shade"><button class="button button-primary"
        type="button" data-testid="play" @click=${this.play}>${icon('play')} ${state === 'blocked' ? 'Watch the stream' : 'Back to live'}</button></div>`)}
      ${when(state === 'playing' || (state === 'paused' && this.keeps), () => html`<div class="player-tools">
        ${when(this.keeps, () => this.seekBar())}
        <div class="player-buttons">
          ${when(this.keeps, () => html`<button class="tool tool-small" type="button" aria-label=${state === 'paused' ? 'Play' : 'Pause'} title=${state === 'paused' ? 'Play' : 'Pause'}
            data-testid="pause" @click=${this.hold}>${icon(state === 'paused' ? 'play' : 'pause')}</button>`)}
          ${when(this.silent, () => html`<button class="button button-primary" type="button" data-testid="unmute" @click=${this.play}>
            ${icon('sound-off')} Turn sound on</button>`)}
          ${when(!this.atEdge, () => html`<button class="button" type="button" data-testid="to-live" @click=${this.play}>${icon('live')} Back to live</button>`)}
          <span class="player-gap"></span>
          ${when(!this.silent, () => html`<button class="tool tool-small" type="button" aria-label="Sound" title="Sound"
            aria-pressed=${!this.video?.muted} data-testid="sound" @click=${this.toggleSound}>${icon(this.video?.muted ? 'sound-off' : 'sound')}</button>`)}
          ${when(this.layers.length > 1, () => html`<button class="tool tool-small" type="button" aria-label="Quality" title="Quality" aria-haspopup="menu"
            data-testid="quality" @click=${toggleMenu}>${icon('quality')}</button>${menu('Quality', [auto, ...this.layers].map((layer) => this.quality(layer)))}`)}
          ${when(canFloat, () => html`<button class="tool tool-small" type="button" aria-label="Small window above all" title="Small window above all"
            data-testid="float-player" @click=${() => void float()}>${icon('pip')}</button>`)}
          <button class="tool tool-small" type="button" aria-label="Full screen" title="Full screen" data-testid="fullscreen"
            @click=${this.fullscreen}>${icon('fullscreen')}</button></div></div>`)}
    </div>`;
  }

  /** Whether the stream is kept from its beginning, so that one can go back. */
  private get keeps(): boolean {
    return this.hls.value.variants[0]?.playlist_type === HLSPlaylistType.DVR && this.window.end - this.window.begin > stepSeconds;
  }

  private seekBar() {
    const { begin, end, now } = this.window;
    const behind = end - now;
    const text = this.atEdge ? 'Live' : `${duration(behind * 1000)} behind live`;
    return html`<input class="seek" type="range" min="0" max=${Math.round(end - begin)} step="1" aria-label="Time in the stream" aria-valuetext=${text}
      data-testid="seek" .value=${String(Math.round(now - begin))} @input=${this.seek} @keydown=${this.seekByKey} /><span class="seek-time">${text}</span>`;
  }

  private quality(layer: HMSHLSLayer) {
    const now = this.player?.getLayer()?.resolution ?? 'auto';
    const chosen = now === layer.resolution;
    return html`<button class="menu-item" type="button" role="menuitemradio" aria-checked=${chosen} data-testid="quality-${layer.resolution ?? ''}"
      @click=${() => { this.player?.setLayer(layer); this.requestUpdate(); }}>${chosen ? icon('check') : html`<span class="icon"></span>`}
      ${layer === auto ? 'Automatic' : qualityName(layer)}</button>`;
  }

  private readonly seek = (event: Event) => this.goTo(this.window.begin + Number((event.target as HTMLInputElement).value));

  /** Arrows go by ten seconds: by one, nobody gets anywhere. */
  private readonly seekByKey = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    this.goTo(this.window.now + step * stepSeconds);
  };

  private goTo(seconds: number): void {
    const { begin, end } = this.window;
    if (seconds > end - edgeSeconds) return this.play();
    this.window = { ...this.window, now: Math.max(begin, seconds) };
    this.player?.seekTo(this.window.now);
    this.atEdge = false;
    this.requestUpdate();
  }

  private readonly hold = () => {
    if (this.state === 'paused') void this.player?.play();
    else this.player?.pause();
  };

  /** What can be gone back to, as the element knows it. */
  private measure(): void {
    const { video } = this;
    const { length } = video?.seekable ?? { length: 0 };
    if (!video || !length) return;
    this.window = { begin: video.seekable.start(0), end: video.seekable.end(length - 1), now: video.currentTime };
  }

  protected override updated(): void {
    if (this.state === 'loading' && !this.player) this.open();
  }

  private get video(): HTMLVideoElement | null {
    return this.querySelector('video');
  }

  private open(): void {
    this.url = this.hls.value.variants[0]!.url;
    this.latency = NaN;
    const player = new HMSHLSPlayer(streamURL(this.url, location.href), this.video!);
    this.player = player;
    const mine = (then: () => void) => { if (this.player === player) then(); };
    player.on(HMSHLSPlayerEvents.PLAYBACK_STATE, ({ state }) => mine(() => this.become(state === 'playing' ? 'playing' : 'paused')));
    player.on(HMSHLSPlayerEvents.AUTOPLAY_BLOCKED, () => mine(() => this.blocked()));
    player.on(HMSHLSPlayerEvents.SEEK_POS_BEHIND_LIVE_EDGE, ({ isLive }) => mine(() => {
      this.atEdge = isLive;
      this.requestUpdate();
    }));
    player.on(HMSHLSPlayerEvents.MANIFEST_LOADED, ({ layers }) => mine(() => {
      this.layers = layers.toSorted((a, b) => b.bitrate - a.bitrate);
      this.requestUpdate();
    }));
    player.on(HMSHLSPlayerEvents.STATS, (stats: HMSHLSStats) => mine(() => {
      this.latency = stats.latency;
      this.measure();
      this.requestUpdate();
    }));
    player.on(HMSHLSPlayerEvents.ERROR, (error) => mine(() => console.warn('amphi: stream', error.name, error.message)));
  }

  private close(): void {
    this.player?.reset();
    this.player = undefined;
    this.url = '';
    this.atEdge = true;
    this.layers = [];
    this.window = { begin: 0, end: 0, now: 0 };
  }

  private become(state: State): void {
    this.state = state;
    this.requestUpdate();
  }

  /** The browser wants a click before sound: begin without, and offer the sound. */
  private blocked(): void {
    const video = this.video!;
    if (this.silent) return this.become('blocked');
    this.silent = true;
    video.muted = true;
    video.play().catch(() => this.become('blocked'));
  }

  private readonly play = () => {
    this.silent = false;
    this.video!.muted = false;
    void this.player?.seekToLivePosition();
    void this.player?.play();
    this.requestUpdate();
  };

  private readonly shape = () => {
    const { videoWidth, videoHeight } = this.video!;
    if (videoHeight) this.querySelector<HTMLElement>('.player')?.style.setProperty('--ratio', String(videoWidth / videoHeight));
  };

  private readonly toggleSound = () => {
    this.video!.muted = !this.video!.muted;
    this.requestUpdate();
  };

  private readonly fullscreen = () => {
    const player = this.querySelector('.player')!;
    const video = this.video as HTMLVideoElement & { webkitEnterFullscreen?: () => void };
    if (document.fullscreenElement) void document.exitFullscreen();
    else if (player.requestFullscreen) void player.requestFullscreen().catch(() => {});
    else video.webkitEnterFullscreen?.(); // iPhone: only videos go full screen
  };
}
customElements.define('amphi-gallery', Gallery);
