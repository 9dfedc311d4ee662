// Who is here, by level, and what the local person may do with them.
import { html } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import { WatchArrangement, arrangement } from './arrangement.js';
import { raisedHands } from './hands.js';
import type { Level } from './level.js';
import { levelName, levelOf, levels, rolesAt } from './level.js';
import { menu, toggleMenu } from './menu.js';
import type { HMSPeer } from './sdk.js';
import {
  actions, selectAudioTrackByPeerID, selectLocalPeerRole, selectPeers, selectPermissions, selectRolesMap, selectTracksMap, selectVideoTrackByPeerID, store,
} from './sdk.js';
import { toast } from './toasts.js';
import { View, avatar, icon, when } from './view.js';
import type { IconName } from './view.js';
import { Watch } from './watch.js';

const moves: Record<Level, { label: string; icon: IconName; testid: string }> = {
  stage: { label: 'Bring on stage', icon: 'stage', testid: 'bring-on-stage' },
  floor: { label: 'Move to floor', icon: 'floor', testid: 'move-to-floor' },
  gallery: { label: 'Move to gallery', icon: 'gallery', testid: 'move-to-gallery' },
};

/** Brings a person to a role. Onto the stage only if they agree: nobody is put before a camera by force. */
export async function move(peer: HMSPeer, role: string): Promise<void> {
  const onStage = levelOf(store.getState(selectRolesMap)[role]) === 'stage';
  const asked = onStage && levelOf(store.getState(selectRolesMap)[peer.roleName ?? '']) !== 'stage';
  try {
    await actions.changeRoleOfPeer(peer.id, role, !asked);
    if (asked) toast(`${peer.name} is asked to come on stage.`);
  } catch {
    toast(`${peer.name} could not be moved. Try again.`);
  }
}

/** Lists as long as this are searched. */
const searchFrom = 8;

class People extends View {
  private readonly peers = new Watch(this, selectPeers);
  private readonly roles = new Watch(this, selectRolesMap);
  private readonly permissions = new Watch(this, selectPermissions);

  private query = '';

  constructor() {
    super();
    new Watch(this, selectTracksMap);
    new WatchArrangement(this);
  }

  /** The stage is in view here, so that somebody can be pinned on it. */
  private get onStage(): boolean {
    return levelOf(store.getState(selectLocalPeerRole)) !== 'gallery';
  }

  private levelOf(peer: HMSPeer): Level {
    return levelOf(this.roles.value[peer.roleName ?? '']);
  }

  protected override render() {
    const all = this.peers.value;
    const wanted = this.query.trim().toLocaleLowerCase();
    const peers = wanted ? all.filter((peer) => peer.name.toLocaleLowerCase().includes(wanted)) : all;
    const queue = raisedHands();
    const hands = peers.filter((peer) => peer.isHandRaised).sort((a, b) => queue.indexOf(a.id) - queue.indexOf(b.id));
    return html`<div class="people" tabindex="-1">
      ${when(all.length >= searchFrom || wanted, () => html`<input class="input people-search" type="search" placeholder="Find somebody" aria-label="Find somebody"
        data-testid="people-search" .value=${this.query} @input=${(event: Event) => { this.query = (event.target as HTMLInputElement).value; this.requestUpdate(); }} />`)}
      ${when(hands.length, () => this.section('Raised hands', hands))}
      ${levels.map((level) => {
        const here = peers.filter((peer) => this.levelOf(peer) === level && !peer.isHandRaised);
        return when(here.length, () => this.section(levelName[level], here, level));
      })}
      ${when(wanted && peers.length === 0, () => html`<p class="messages-empty" role="status">Nobody here has that name.</p>`)}
    </div>`;
  }

  private section(title: string, peers: HMSPeer[], level?: Level) {
    return html`<section aria-label=${title}>
      <h3>${level ? html`<span class="level level-${level}">${title}</span>` : title}<small>${peers.length}</small></h3>
      <ul>${repeat(peers, (peer) => peer.id, (peer) => this.person(peer))}</ul>
    </section>`;
  }

  private person(peer: HMSPeer) {
    const level = this.levelOf(peer);
    const audio = store.getState(selectAudioTrackByPeerID(peer.id));
    const content = this.entries(peer, level);
    return html`<li class="person" data-testid="person" data-peer-name=${peer.name} data-role=${peer.roleName ?? ''}
      data-level=${level} data-hand=${peer.isHandRaised ? 'raised' : 'down'}>
      ${avatar(peer.name)}
      <div class="person-name"><strong>${peer.name}${peer.isLocal ? ' (you)' : ''}</strong><small>${peer.roleName}</small></div>
      ${when(peer.isHandRaised, () => html`<span class="hand" role="img" aria-label="Hand raised">${icon('hand')}</span>`)}
      ${when(level === 'stage' && !audio?.enabled, () => html`<span role="img" aria-label="Muted">${icon('mic-off')}</span>`)}
      ${when(content.length, () => html`<button class="tool tool-small tool-plain" type="button" aria-haspopup="menu"
          aria-label="More about ${peer.name}" data-testid="person-menu" @click=${toggleMenu}>${icon('more')}</button>
        ${menu(peer.name, content)}`)}
    </li>`;
  }

  private entries(peer: HMSPeer, level: Level): unknown[] {
    const may = this.permissions.value;
    const entries: unknown[] = [];
    if (level === 'stage' && this.onStage) {
      const pinned = arrangement.pinned === peer.id;
      entries.push(this.entry(pinned ? 'Unpin' : 'Pin', pinned ? 'pin-off' : 'pin', 'person-pin', () => arrangement.pin(peer.id)));
    }
    if (peer.isLocal) return entries;
    if (may?.changeRole) {
      for (const to of levels) {
        const roles = rolesAt(to, this.roles.value, peer.roleName);
        if (to === level && roles.length === 0) continue;
        entries.push(...roles.map((role) => this.entry(
          to === level ? `Make ${role.name}` : roles.length > 1 ? `${moves[to].label} as ${role.name}` : moves[to].label,
          moves[to].icon, to === level ? 'change-role' : moves[to].testid, () => move(peer, role.name), { role: role.name })));
      }
    }
    if (may?.changeRole && peer.isHandRaised) {
      entries.push(this.entry('Lower hand', 'hand', 'lower-hand', () => actions.lowerRemotePeerHand(peer.id)));
    }
    const audio = store.getState(selectAudioTrackByPeerID(peer.id));
    const video = store.getState(selectVideoTrackByPeerID(peer.id));
    if (audio?.enabled && may?.mute) entries.push(this.entry('Mute', 'mic-off', 'mute', () => actions.setRemoteTrackEnabled(audio.id, false)));
    if (audio && !audio.enabled && may?.unmute) entries.push(this.entry('Ask to unmute', 'mic', 'ask-unmute', () => actions.setRemoteTrackEnabled(audio.id, true)));
    if (video?.enabled && may?.mute) entries.push(this.entry('Turn camera off', 'camera-off', 'camera-off', () => actions.setRemoteTrackEnabled(video.id, false)));
    if (may?.removeOthers) {
      if (entries.length) entries.push(html`<hr class="menu-line" />`);
      entries.push(this.entry('Remove from the room', 'remove', 'remove', () => actions.removePeer(peer.id, 'removed by the host'), {}, true));
    }
    return entries;
  }

  private entry(label: string, picture: IconName, testid: string, run: () => Promise<void> | void, { role = '' } = {}, danger = false) {
    return html`<button class="menu-item ${danger ? 'menu-item-danger' : ''}" type="button" role="menuitem" data-testid=${testid} data-to-role=${role}
      @click=${() => run()?.catch(() => toast('That did not work. Try again.'))}>${icon(picture)} ${label}</button>`;
  }
}
customElements.define('amphi-people', People);
