// The bar below the picture: what the local person can do.
import { html, nothing } from 'lit';
import { menu, toggleMenu } from './menu.js';
import { reactionPicker } from './reactions.js';
import {
  actions, selectIsAllowedToPublish, selectIsLocalAudioEnabled, selectIsLocalScreenShared, selectIsLocalVideoDisplayEnabled,
  selectIsLocalVideoEnabled, selectLocalPeer, selectPermissions,
} from './sdk.js';
import { toast, toastDevice } from './toasts.js';
import { View, icon, when } from './view.js';
import type { IconName } from './view.js';
import { Watch } from './watch.js';

const canShareScreen = !!navigator.mediaDevices && 'getDisplayMedia' in navigator.mediaDevices;

class Controls extends View {
  static override properties = { unread: { type: Number }, chatting: { type: Boolean } };
  declare unread: number;
  declare chatting: boolean;
  private readonly may = new Watch(this, selectIsAllowedToPublish);
  private readonly permissions = new Watch(this, selectPermissions);
  private readonly microphone = new Watch(this, selectIsLocalAudioEnabled);
  private readonly camera = new Watch(this, selectIsLocalVideoEnabled);
  private readonly cameraShown = new Watch(this, selectIsLocalVideoDisplayEnabled);
  private readonly screen = new Watch(this, selectIsLocalScreenShared);
  private readonly me = new Watch(this, selectLocalPeer);

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
      ${when(may.audio, () => this.toggle('Microphone', 'Alt+M', this.microphone.value, 'mic', 'mic-off', 'toggle-mic', this.toggleMicrophone))}
      ${when(may.video, () => this.toggle('Camera', 'Alt+V', this.cameraShown.value ?? this.camera.value, 'camera', 'camera-off', 'toggle-camera', this.toggleCamera))}
      ${when(may.screen && canShareScreen, () => html`<button class="tool wide-only ${this.screen.value ? 'tool-on' : ''}" type="button"
        aria-label="Share screen" aria-pressed=${this.screen.value} title=${this.screen.value ? 'Stop sharing' : 'Share your screen'}
        data-testid="toggle-screen" data-state=${this.screen.value ? 'on' : 'off'} @click=${this.toggleScreen}>
        ${icon(this.screen.value ? 'screen-off' : 'screen')}</button>`)}
      <button class="tool ${hand ? 'tool-on' : ''}" type="button" aria-label="Raise hand" aria-pressed=${hand} aria-keyshortcuts="Alt+H"
        title=${hand ? 'Lower your hand (Alt+H)' : 'Raise your hand (Alt+H)'} data-testid="raise-hand" data-state=${hand ? 'raised' : 'down'}
        @click=${this.toggleHand}>${icon('hand')}</button>
      ${reactionPicker()}
      <button class="tool ${this.chatting ? 'tool-on' : ''}" type="button" aria-label=${this.unread ? `Chat, ${this.unread} unread` : 'Chat'}
        aria-pressed=${this.chatting} aria-keyshortcuts="Alt+C" title="Chat (Alt+C)" data-testid="chat-open" data-unread=${this.unread}
        @click=${this.openChat}>${icon('chat')}
        ${this.unread ? html`<span class="tool-count" data-testid="chat-unread">${this.unread > 99 ? '99+' : this.unread}</span>` : nothing}</button>
      <span class="controls-gap"></span>
      <span class="split">
        <button class="tool tool-danger" type="button" aria-label="Leave" title="Leave the room" data-testid="leave"
          @click=${() => this.tell('leave')}>${icon('leave')}</button>
        ${when(this.permissions.value?.endRoom, () => html`<button class="tool tool-danger" type="button" aria-label="More ways to leave" aria-haspopup="menu"
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

  private tell(name: string): void {
    this.dispatchEvent(new CustomEvent(name));
  }

  private readonly openChat = () => this.tell('chat');

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

  private readonly key = (event: KeyboardEvent) => {
    if (!event.altKey || event.ctrlKey || event.metaKey || event.repeat) return;
    const may = this.may.value;
    // By place on the keyboard: with Alt some systems put another letter on the key.
    const run = {
      KeyM: may.audio && this.toggleMicrophone, KeyV: may.video && this.toggleCamera, KeyH: this.toggleHand, KeyC: this.openChat,
    }[event.code];
    if (!run) return;
    event.preventDefault();
    run();
  };
}
customElements.define('amphi-controls', Controls);
