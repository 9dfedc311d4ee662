// Level 1 and 2: everybody on stage as tiles, a shared screen large beside them.
import { html } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import { arrange } from './grid.js';
import { levelOf } from './level.js';
import type { HMSPeer, HMSStore } from './sdk.js';
import {
  selectAudioTrackByPeerID, selectPeers, selectPeersScreenSharing, selectRolesMap, selectScreenShareByPeerID, selectSpeakers,
  selectTracksMap, selectVideoTrackByPeerID, store,
} from './sdk.js';
import { View, mark, when } from './view.js';
import { Watch } from './watch.js';
import './tile.js';

const mostTiles = 25;
const gapPx = 8;
/** Of 100; below it is breathing. */
const speakingLevel = 8;

export class Stage extends View {
  private readonly peers = new Watch(this, selectPeers);
  private readonly roles = new Watch(this, selectRolesMap);
  private readonly sharing = new Watch(this, selectPeersScreenSharing);
  private readonly resized = new ResizeObserver(() => this.place());

  constructor() {
    super();
    new Watch(this, selectTracksMap);
    new Watch(this, selectSpeakers);
  }

  /** Who is shown: everybody whose role may be seen or heard, whoever speaks first when there are too many. */
  private get shown(): { tiles: HMSPeer[]; more: number } {
    const all = this.peers.value.filter((peer) => levelOf(this.roles.value[peer.roleName ?? '']) === 'stage' || peer.videoTrack);
    if (all.length <= mostTiles) return { tiles: all, more: 0 };
    const loud = new Set(all.filter((peer) => this.loudness(peer) > speakingLevel));
    const first = [...all.filter((peer) => loud.has(peer)), ...all.filter((peer) => !loud.has(peer))].slice(0, mostTiles);
    return { tiles: all.filter((peer) => first.includes(peer)), more: all.length - mostTiles };
  }

  private loudness(peer: HMSPeer): number {
    const state: HMSStore = store.getState();
    return (peer.audioTrack && state.speakers[peer.audioTrack]?.audioLevel) || 0;
  }

  protected override render() {
    const { tiles, more } = this.shown;
    const sharer = this.sharing.value[0];
    const screen = sharer && store.getState(selectScreenShareByPeerID(sharer.id));
    if (tiles.length === 0 && !screen) {
      return html`<div class="empty-stage" data-testid="empty-stage">${mark()}
        <strong>The stage is empty</strong><p>Nobody is on stage yet. You will see and hear them as soon as they come.</p></div>`;
    }
    return html`<div class="stage ${screen ? 'stage-with-share' : ''}">
      ${when(screen, () => html`<div class="stage-share"><amphi-tile .peer=${sharer!} .video=${screen} screen></amphi-tile></div>`)}
      <div class="stage-grid" role="list" aria-label="On stage">
        ${repeat(tiles, (peer) => peer.id, (peer) => {
          const audio = store.getState(selectAudioTrackByPeerID(peer.id));
          return html`<amphi-tile role="listitem" .peer=${peer} .video=${store.getState(selectVideoTrackByPeerID(peer.id))}
            .muted=${!audio?.enabled} .speaking=${this.loudness(peer) > speakingLevel && !!audio?.enabled}></amphi-tile>`;
        })}
      </div>
      ${when(more, () => html`<p class="visually-hidden" role="status">and ${more} more on stage</p>`)}
    </div>`;
  }

  protected override updated(): void {
    this.resized.disconnect();
    const grid = this.querySelector('.stage-grid');
    if (grid) this.resized.observe(grid);
    this.place();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.resized.disconnect();
  }

  private place(): void {
    const grid = this.querySelector<HTMLElement>('.stage-grid');
    if (!grid) return;
    const cell = arrange(grid.childElementCount, grid.clientWidth, grid.clientHeight, gapPx);
    grid.style.setProperty('--tile-w', `${cell.width}px`);
    grid.style.setProperty('--tile-h', `${cell.height}px`);
  }
}
customElements.define('amphi-stage', Stage);
