// The bar below the picture: what the local person can do.
import { html, nothing } from 'lit';
import { WatchArrangement, arrangement } from './arrangement.js';
import { levelOf } from './level.js';
import { menu, toggleMenu } from './menu.js';
import { canFloat, float } from './pip.js';
import { reactionPicker } from './reactions.js';
import {
  actions, selectIsAllowedToPublish, selectIsLocalAudioEnabled, selectIsLocalScreenShared, selectIsLocalVideoDisplayEnabled,
  selectIsLocalVideoEnabled, selectLocalPeer, selectLocalPeerRole, selectPermissions,
} from './sdk.js';
import { pressed, shortcuts } from './shortcuts.js';
import type { Shortcut } from './shortcuts.js';
import { toast, toastDevice } from './toasts.js';
import { View, icon, when } from './view.js';
import type { IconName } from './view.js';
import { Watch } from './watch.js';

const canShareScreen = !!navigator.mediaDevices && 'getDisplayMedia' in navigator.mediaDevices;

export class Controls extends View {
  static override properties = { unread: { type: Number }, panel: {} };
  declare unread: number;
  /** The panel that is open. */
  declare panel?: string;
  private readonly myRole = new Watch(this, selectLocalPeerRole);
  private readonly may = new Watch(this, selectIsAllowedToPublish);
  private readonly permissions = new Watch(this, selectPermissions);
  private readonly microphone = new Watch(this, selectIsLocalAudioEnabled);
  private readonly camera = new Watch(this, selectIsLocalVideoEnabled);
  private readonly cameraShown = new Watch(this, selectIsLocalVideoDisplayEnabled);
  private readonly screen = new Watch(this, selectIsLocalScreenShared);
  private readonly me = new Watch(this, selectLocalPeer);

  constructor() {
    super();
    new WatchArrangement(this);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    document.addEventListener('keydown', this.key);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    document.removeEventListener('keydown', this.key);
  }

  protected override render() {
    const may = this.may.value;
    const hand = !!this.me.value?.isHandRaised;
    return html`
      ${when(may.audio, () => this.toggle('Microphone', shortcuts.microphone.keys, this.microphone.value, 'mic', 'mic-off', 'toggle-mic', this.toggleMicrophone))}
      ${when(may.video, () => this.toggle('Camera', shortcuts.camera.keys, this.cameraShown.value ?? this.camera.value, 'camera', 'camera-off', 'toggle-camera', this.toggleCamera))}
      ${when(may.screen && canShareScreen, () => html`<button class="tool wide-only ${this.screen.value ? 'tool-on' : ''}" type="button"
        aria-label="Share screen" aria-pressed=${this.screen.value} aria-keyshortcuts="Alt+S" title=${this.screen.value ? 'Stop sharing (Alt+S)' : 'Share your screen (Alt+S)'}
        data-testid="toggle-screen" data-state=${this.screen.value ? 'on' : 'off'} @click=${this.toggleScreen}>
        ${icon(this.screen.value ? 'screen-off' : 'screen')}</button>`)}
      <button class="tool ${hand ? 'tool-on' : ''}" type="button" aria-label="Raise hand" aria-pressed=${hand} aria-keyshortcuts="Alt+H"
        title=${hand ? 'Lower your hand (Alt+H)' : 'Raise your hand (Alt+H)'} data-testid="raise-hand" data-state=${hand ? 'raised' : 'down'}
        @click=${this.toggleHand}>${icon('hand')}</button>
      ${reactionPicker()}
      <button class="tool ${this.panel === 'chat' ? 'tool-on' : ''}" type="button" aria-label=${this.unread ? `Chat, ${this.unread} unread` : 'Chat'}
        aria-pressed=${this.panel === 'chat'} aria-keyshortcuts="Alt+C" title="Chat (Alt+C)" data-testid="chat-open" data-unread=${this.unread}
        @click=${() => this.tell('chat')}>${icon('chat')}
        ${this.unread ? html`<span class="tool-count" data-testid="chat-unread">${this.unread > 99 ? '99+' : this.unread}</span>` : nothing}</button>
      ${when(this.permissions.value?.pollRead, () => html`<button class="tool wide-only ${this.panel === 'polls' ? 'tool-on' : ''}" type="button" aria-label="Polls"
        aria-pressed=${this.panel === 'polls'} aria-keyshortcuts="Alt+O" title="Polls (Alt+O)" data-testid="polls-open"
        @click=${() => this.tell('polls')}>${icon('poll')}</button>`)}
      <button class="tool" type="button" aria-label="More" title="More" aria-haspopup="menu" data-testid="more-open" @click=${toggleMenu}>${icon('more')}</button>
      ${menu('More', this.more())}
      <span class="controls-gap"></span>
      <span class="split">
        <button class="tool tool-danger" type="button" aria-label="Leave" title="Leave the room" data-testid="leave"
          @click=${() => this.tell('leave')}>${icon('leave')}</button>
        ${when(this.permissions.value?.endRoom, () => html`<button class="tool tool-danger wide-only" type="button" aria-label="More ways to leave" aria-haspopup="menu"
            data-testid="leave-more" @click=${toggleMenu}>${icon('chevron-up')}</button>
          ${menu('Leave', html`<button class="menu-item" type="button" role="menuitem" @click=${() => this.tell('leave')}>${icon('leave')} Leave the room</button>
            <button class="menu-item menu-item-danger" type="button" role="menuitem" data-testid="end-room"
              @click=${() => this.tell('end')}>${icon('end')} End for everybody</button>`)}`)}
      </span>`;
  }

  private toggle(label: string, keys: string, on: boolean, yes: IconName, no: IconName, testid: string, run: () => void) {
    return html`<button class="tool ${on ? '' : 'tool-off'}" type="button" aria-label=${label} aria-pressed=${on} aria-keyshortcuts=${keys}
      title="Turn ${label.toLowerCase()} ${on ? 'off' : 'on'} (${keys})" data-testid=${testid} data-state=${on ? 'on' : 'off'}
      @click=${run}>${icon(on ? yes : no)}</button>`;
  }

  /** What has no button of its own, on phones also what has one where there is room. */
  private more() {
    const stage = levelOf(this.myRole.value) !== 'gallery';
    return html`
      ${when(stage, () => arrangement.kind === 'grid' && !arrangement.pinned
        ? this.entry('Speaker view', 'speaker', 'view-speaker', () => arrangement.show('speaker'))
        : this.entry('Everybody alike', 'grid', 'view-grid', () => arrangement.show('grid')))}
      ${when(canFloat, () => this.entry('Small window above all', 'pip', 'float', () => void float()))}
      ${when(this.permissions.value?.pollRead, () => html`<div class="phone-only">${this.entry('Polls', 'poll', 'polls-open-more', () => this.tell('polls'))}</div>`)}
      ${this.entry('Settings', 'settings', 'settings-open-more', () => this.tell('settings'))}
      <div class="wide-only">${this.entry('Keyboard', 'keyboard', 'help-open', () => this.tell('help'))}</div>
      ${when(this.permissions.value?.endRoom, () => html`<div class="phone-only"><hr class="menu-line" />
        ${this.entry('End for everybody', 'end', 'end-room-more', () => this.tell('end'), true)}</div>`)}`;
  }

  private entry(label: string, picture: IconName, testid: string, run: () => void, danger = false) {
    return html`<button class="menu-item ${danger ? 'menu-item-danger' : ''}" type="button" role="menuitem" data-testid=${testid}
      @click=${run}>${icon(picture)} ${label}</button>`;
  }

  private tell(name: string): void {
    this.dispatchEvent(new CustomEvent(name));
  }

  private readonly toggleMicrophone = () => {
    actions.setLocalAudioEnabled(!this.microphone.value).catch((error: unknown) => toastDevice(error, 'microphone'));
  };

  private readonly toggleCamera = () => {
    const on = this.cameraShown.value ?? this.camera.value;
    actions.setLocalVideoEnabled(!on).catch((error: unknown) => toastDevice(error, 'camera'));
  };

  private readonly toggleScreen = () => {
    actions.setScreenShareEnabled(!this.screen.value).catch((error: unknown) => {
      // 3001: the person closed the browser's question, which needs no comment.
      if ((error as { code?: number }).code !== 3001) toast('Your screen could not be shared.');
    });
  };

  private readonly toggleHand = () => {
    const change = this.me.value?.isHandRaised ? actions.lowerLocalPeerHand() : actions.raiseLocalPeerHand();
    change.catch(() => toast('Your hand could not be raised. Try again.'));
  };

  /** The shortcuts that do something here. */
  get available(): Shortcut[] {
    return (Object.keys(shortcuts) as Shortcut[]).filter((name) => this.runs(name));
  }

  private runs(name: Shortcut): (() => void) | undefined {
    const may = this.may.value;
    switch (name) {
      case 'microphone': return may.audio ? this.toggleMicrophone : undefined;
      case 'camera': return may.video ? this.toggleCamera : undefined;
      case 'screen': return may.screen && canShareScreen ? this.toggleScreen : undefined;
      case 'hand': return this.toggleHand;
      case 'polls': return this.permissions.value?.pollRead ? () => this.tell('polls') : undefined;
      case 'view': return levelOf(this.myRole.value) === 'gallery' ? undefined
        : () => arrangement.show(arrangement.kind === 'grid' ? 'speaker' : 'grid');
      default: return () => this.tell(name);
    }
  }

  private readonly key = (event: KeyboardEvent) => {
    // Whoever is asked something answers first.
    if (document.querySelector('dialog[open]')) return;
    const name = pressed(event);
    const run = name ? this.runs(name) : event.key === '?' && !writes(event.target) ? () => this.tell('help') : undefined;
    if (!run) return;
    event.preventDefault();
    run();
  };
}
customElements.define('amphi-controls', Controls);

const writes = (target: EventTarget | null): boolean => target instanceof HTMLElement && target.matches('input, textarea, select');
