// One picture: a person's camera, or the screen that they share.
import { html } from 'lit';
import type { HMSPeer, HMSVideoTrack } from './sdk.js';
import { actions } from './sdk.js';
import { View, avatar, icon, when } from './view.js';

class Tile extends View {
  static override properties = {
    peer: { attribute: false }, video: { attribute: false }, screen: { type: Boolean },
    muted: { type: Boolean }, speaking: { type: Boolean },
  };
  declare peer: HMSPeer;
  declare video?: HMSVideoTrack;
  declare screen: boolean;
  declare muted: boolean;
  declare speaking: boolean;
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
        ${when(screen, () => icon('screen'))}<span>${label}</span>
      </div>
    </div>`;
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
