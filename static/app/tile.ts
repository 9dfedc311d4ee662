// One picture: a person's camera, or the screen that they share.
import { html } from 'lit';
import { arrangement } from './arrangement.js';
import { quality } from './figures.js';
import type { HMSPeer, HMSVideoTrack } from './sdk.js';
import { actions } from './sdk.js';
import { View, avatar, icon, when } from './view.js';

/** The best quality of a network that still is told. */
const worthTelling = 3;

class Tile extends View {
  static override properties = {
    peer: { attribute: false }, video: { attribute: false }, screen: { type: Boolean },
    muted: { type: Boolean }, speaking: { type: Boolean }, quality: { type: Number }, pinnable: { type: Boolean }, pinned: { type: Boolean },
  };
  declare peer: HMSPeer;
  declare video?: HMSVideoTrack;
  declare screen: boolean;
  declare muted: boolean;
  declare speaking: boolean;
  /** Of their network, 0 to 5; -1 when it is not known. */
  declare quality: number;
  declare pinnable: boolean;
  declare pinned: boolean;
  private attached?: string;

  private get shows(): boolean {
    return !!this.video && (this.video.displayEnabled ?? this.video.enabled) && !this.video.degraded;
  }

  protected override render() {
    const { peer, screen } = this;
    const label = screen ? (peer.isLocal ? 'You are sharing your screen' : `${peer.name}’s screen`) : peer.isLocal ? `${peer.name} (you)` : peer.name;
    const mirror = !screen && peer.isLocal && this.video?.facingMode !== 'environment';
    return html`<div class="tile ${screen ? 'tile-screen' : ''} ${mirror ? 'tile-mirror' : ''}" role="group" aria-label=${label}
      data-testid=${screen ? 'screen-tile' : 'tile'} data-peer-name=${peer.name} data-speaking=${this.speaking && !screen}
      data-video=${this.shows ? 'on' : 'off'} data-audio=${this.muted ? 'off' : 'on'}>
      <video autoplay playsinline muted .muted=${true} ?hidden=${!this.shows} aria-hidden="true"></video>
      ${when(!this.shows, () => html`<div class="tile-still">${avatar(peer.name)}</div>`)}
      ${when(peer.isHandRaised && !screen, () => html`<span class="tile-hand" role="img" aria-label="Hand raised">${icon('hand')}</span>`)}
      <div class="tile-label">
        ${when(this.muted && !screen, () => html`${icon('mic-off', 'icon-muted')}<span class="visually-hidden">muted</span>`)}
        ${when(screen, () => icon('screen'))}<span>${label}</span>${when(!screen && this.quality >= 0 && this.quality <= worthTelling, () => this.bars())}
      </div>
      ${when(this.pinnable && !screen, () => html`<button class="tile-pin" type="button" aria-pressed=${this.pinned} data-testid="pin"
        aria-label=${`Pin ${peer.name}`} title=${this.pinned ? 'Unpin' : 'Pin: always large'} @click=${() => arrangement.pin(peer.id)}>
        ${icon(this.pinned ? 'pin-off' : 'pin')}</button>`)}
    </div>`;
  }

  /** Only a network that is not good is worth a place in the picture. */
  private bars() {
    const text = `Network: ${quality(this.quality)}`;
    return html`<span class="bars" role="img" aria-label=${text} title=${text} data-testid="network" data-quality=${this.quality}>${
      [1, 3, 5].map((least) => html`<i class=${this.quality >= least ? 'lit' : ''}></i>`)}</span>`;
  }

  protected override updated(): void {
    this.attach(this.shows ? this.video?.id : undefined);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.hasUpdated) this.requestUpdate();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.attach(undefined);
  }

  /** Binds the picture of a track, and lets go of the one before: unseen video is not sent. */
  private attach(track: string | undefined): void {
    if (track === this.attached) return;
    const element = this.querySelector('video')!;
    if (this.attached) void actions.detachVideo(this.attached, element).catch(() => {});
    this.attached = track;
    if (track) {
      actions.attachVideo(track, element).catch((error: unknown) => console.warn('amphi: picture not attached', error));
    }
  }
}
customElements.define('amphi-tile', Tile);
