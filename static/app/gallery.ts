// Level 3: the composed live stream.
import { html, nothing } from 'lit';
import { selectLive } from './live-state.js';
import { HMSHLSPlayer, HMSHLSPlayerEvents, selectHLSState } from './sdk.js';
import type { HMSHLSStats } from './sdk.js';
import { streamURL } from './stream-url.js';
import { View, icon, mark, when } from './view.js';
import { Watch } from './watch.js';

type State = 'waiting' | 'starting' | 'loading' | 'playing' | 'paused' | 'blocked' | 'ended' | 'unsupported';

/** The picture here is older than the news that the stream ended: it is played out, for at most this long. */
const longestDrainMs = 4000;

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
        ${when(Number.isFinite(this.latency) && state === 'playing', () => html`<span class="player-delay" data-testid="stream-delay"
          title="How long ago this happened on stage">${this.latency.toFixed(1)} s delay</span>`)}</div>`)}
      <div role="status" aria-live="polite">
        ${when(state === 'loading', () => html`<div class="player-cover"><span class="spinner"></span><p>Loading the stream…</p></div>`)}
        ${said ? html`<div class="player-cover">${mark()}<strong>${said.title}</strong><p>${said.text}</p></div>` : nothing}
      </div>
      ${when(state === 'blocked' || state === 'paused', () => html`<div class="player-cover player-shade"><button class="button button-primary"
        type="button" data-testid="play" @click=${this.play}>${icon('play')} ${state === 'blocked' ? 'Watch the stream' : 'Back to live'}</button></div>`)}
      ${when(state === 'playing', () => html`<div class="player-tools">
        ${when(this.silent, () => html`<button class="button button-primary" type="button" data-testid="unmute" @click=${this.play}>
          ${icon('sound-off')} Turn sound on</button>`)}
        ${when(!this.atEdge, () => html`<button class="button" type="button" data-testid="to-live" @click=${this.play}>${icon('live')} Back to live</button>`)}
        ${when(!this.silent, () => html`<button class="tool tool-small" type="button" aria-label="Sound" title="Sound"
          aria-pressed=${!this.video?.muted} data-testid="sound" @click=${this.toggleSound}>${icon(this.video?.muted ? 'sound-off' : 'sound')}</button>`)}
        <button class="tool tool-small" type="button" aria-label="Full screen" title="Full screen" data-testid="fullscreen"
          @click=${this.fullscreen}>${icon('fullscreen')}</button></div>`)}
    </div>`;
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
    player.on(HMSHLSPlayerEvents.STATS, (stats: HMSHLSStats) => mine(() => {
      this.latency = stats.latency;
      this.requestUpdate();
    }));
    player.on(HMSHLSPlayerEvents.ERROR, (error) => mine(() => console.warn('amphi: stream', error.name, error.message)));
  }

  private close(): void {
    this.player?.reset();
    this.player = undefined;
    this.url = '';
    this.atEdge = true;
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
