// Level 1 and 2: everybody on stage as tiles, a shared screen large beside them.
import { html } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import { WatchArrangement, arrangement, choose } from './arrangement.js';
import type { Large } from './arrangement.js';
import { arrange } from './grid.js';
import { levelOf } from './level.js';
import type { HMSPeer } from './sdk.js';
import {
  selectAudioTrackByPeerID, selectConnectionQualities, selectLocalPeerID, selectPeers, selectPeersScreenSharing, selectRolesMap,
  selectScreenShareByPeerID, selectSpeakers, selectTracksMap, selectVideoTrackByPeerID, store,
} from './sdk.js';
import { View, mark, when } from './view.js';
import { Watch } from './watch.js';
import './tile.js';

const mostTiles = 25;
const gapPx = 8;
/** Of 100; below it is breathing. */
const speakingLevel = 8;
/** Who is large stays it at least for so long: talk goes to and fro. */
const holdMs = 2000;

export class Stage extends View {
  private readonly peers = new Watch(this, selectPeers);
  private readonly roles = new Watch(this, selectRolesMap);
  private readonly sharing = new Watch(this, selectPeersScreenSharing);
  private readonly speakers = new Watch(this, selectSpeakers);
  private readonly quality = new Watch(this, selectConnectionQualities);
  private readonly resized = new ResizeObserver(() => this.place());
  /** The grid that resized observes, and how many tiles it was laid out for. */
  private grid?: HTMLElement;
  private placed = 0;
  private large: Large;
  private largeSince = 0;

  constructor() {
    super();
    new Watch(this, selectTracksMap);
    new WatchArrangement(this);
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
    return (peer.audioTrack && this.speakers.value[peer.audioTrack]?.audioLevel) || 0;
  }

  /** What is large now; who spoke last goes on being it for a moment. */
  private decide(tiles: HMSPeer[]): Large {
    const held = performance.now() - this.largeSince < holdMs;
    const loud = held ? undefined : tiles.filter((peer) => !peer.isLocal && this.loudness(peer) > speakingLevel)
      .reduce<HMSPeer | undefined>((most, peer) => (!most || this.loudness(peer) > this.loudness(most) ? peer : most), undefined);
    const next = choose({
      onStage: tiles.map((peer) => peer.id), me: store.getState(selectLocalPeerID), pinned: arrangement.pinned, kind: arrangement.kind,
      sharing: this.sharing.value[0]?.id, speaking: loud?.id, before: this.large?.what === 'camera' ? this.large.peer : undefined,
    });
    if (next?.peer !== this.large?.peer || next?.what !== this.large?.what) this.largeSince = performance.now();
    return next;
  }

  protected override render() {
    const { tiles, more } = this.shown;
    const sharer = this.sharing.value[0];
    const screen = sharer && store.getState(selectScreenShareByPeerID(sharer.id));
    if (tiles.length === 0 && !screen) {
      return html`<div class="empty-stage" data-testid="empty-stage">${mark()}
        <strong>The stage is empty</strong><p>Nobody is on stage yet. You will see and hear them as soon as they come.</p></div>`;
    }
    const large = (this.large = this.decide(tiles));
    const shown = () => html`<amphi-tile role="listitem" .peer=${sharer!} .video=${screen} screen></amphi-tile>`;
    const most = large?.what === 'camera' ? tiles.find((peer) => peer.id === large.peer) : undefined;
    const rest = most ? tiles.filter((peer) => peer !== most) : tiles;
    return html`<div class="stage ${large ? 'stage-with-large' : ''}" role="list" aria-label="On stage">
      ${when(large, () => html`<div class="stage-large" role="presentation">${most ? this.tile(most, true) : shown()}</div>`)}
      <div class="stage-grid" role="presentation" ?hidden=${rest.length === 0}>
        ${when(screen && most, shown)}
        ${repeat(rest, (peer) => peer.id, (peer) => this.tile(peer, tiles.length > 1))}
      </div>
      ${when(more, () => html`<p class="visually-hidden" role="status">and ${more} more on stage</p>`)}
    </div>`;
  }

  private tile(peer: HMSPeer, pinnable: boolean) {
    const audio = store.getState(selectAudioTrackByPeerID(peer.id));
    return html`<amphi-tile role="listitem" .peer=${peer} .video=${store.getState(selectVideoTrackByPeerID(peer.id))}
      .muted=${!audio?.enabled} .speaking=${this.loudness(peer) > speakingLevel && !!audio?.enabled}
      .quality=${this.quality.value[peer.id]?.downlinkQuality ?? -1} .pinnable=${pinnable} .pinned=${arrangement.pinned === peer.id}></amphi-tile>`;
  }

  protected override updated(): void {
    const grid = this.querySelector<HTMLElement>('.stage-grid') ?? undefined;
    if (grid !== this.grid) {
      this.resized.disconnect();
      this.grid = grid;
      if (grid) this.resized.observe(grid); // places it too
    } else if (grid && grid.childElementCount !== this.placed) {
      this.place();
    }
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.resized.disconnect();
    this.grid = undefined;
  }

  /** Only when the number of tiles or the room for them changes: it asks for sizes, which lays the page out. */
  private place(): void {
    const { grid } = this;
    if (!grid) return;
    this.placed = grid.childElementCount;
    const cell = arrange(this.placed, grid.clientWidth, grid.clientHeight, gapPx);
    grid.style.setProperty('--tile-w', `${cell.width}px`);
    grid.style.setProperty('--tile-h', `${cell.height}px`);
  }
}
customElements.define('amphi-stage', Stage);
