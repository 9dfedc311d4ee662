// Inside the room: one frame for the three levels. What is in its middle follows the role, without a reload.
import { html, nothing } from 'lit';
import { keepBlur } from './blur.js';
import { selectChat } from './chat.js';
import type { Controls } from './controls.js';
import { dialog } from './dialog.js';
import { count } from './format.js';
import { watchHands } from './hands.js';
import { help } from './help.js';
import { levelOf } from './level.js';
import {
  HMSNotificationTypes, actions, notifications, selectLocalPeer, selectIsLocalVideoEnabled, selectLocalPeerRole, selectLocalVideoTrackID, selectPeerCount, selectRoom, store,
} from './sdk.js';
import { toast } from './toasts.js';
import { View, brandName, icon, mark, when } from './view.js';
import { Watch } from './watch.js';
import { keepAwake } from './wake-lock.js';
import './alerts.js';
import './controls.js';
import './gallery.js';
import './live.js';
import './news.js';
import './people.js';
import './polls.js';
import './settings.js';
import './stage.js';

const narrow = matchMedia('(max-width: 720px)');

type Panel = 'chat' | 'people' | 'polls';
const panelName: Record<Panel, string> = { chat: 'Chat', people: 'People', polls: 'Polls' };
/** What has the focus when a panel opens. */
const firstIn: Record<Panel, string> = { chat: '.side textarea', people: '.people', polls: '.polls' };

/** The camera that is on; another track each time. */
const selectCamera = (state: Parameters<typeof selectLocalVideoTrackID>[0]) =>
  (selectIsLocalVideoEnabled(state) ? selectLocalVideoTrackID(state) : undefined);

function keepsBlur(): void {
  const id = store.getState(selectCamera);
  if (id) void keepBlur(actions.getNativeTrackById(id));
}

class Room extends View {
  private readonly myRole = new Watch(this, selectLocalPeerRole);
  private readonly room = new Watch(this, selectRoom);
  private readonly people = new Watch(this, selectPeerCount);
  private readonly messages = new Watch(this, selectChat);
  private panel?: Panel = narrow.matches ? undefined : 'chat';
  private overlay?: 'settings' | 'end' | 'help';
  /** Messages that were here when the chat was last open. */
  private read = 0;

  private letSleep?: () => void;
  private stops: (() => void)[] = [];

  private get level() {
    return levelOf(this.myRole.value);
  }

  /** On a phone the gallery has its chat always below the picture. */
  private get shownPanel() {
    return this.panel ?? (this.level === 'gallery' && narrow.matches ? 'chat' : undefined);
  }

  protected override willUpdate(): void {
    if (this.shownPanel === 'chat') this.read = this.messages.value.length;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    narrow.addEventListener('change', this.redraw);
    this.letSleep = keepAwake();
    keepsBlur();
    this.stops = [watchHands(), store.subscribe(keepsBlur, selectCamera), notifications.onNotification(({ data }) => {
      if (data.startedBy === store.getState(selectLocalPeer)?.id || this.panel === 'polls') return;
      toast(`${data.type === 'quiz' ? 'A quiz' : 'A poll'}: ${data.title}`, { label: 'Answer', testid: 'toast-poll', run: () => this.open('polls') });
    }, HMSNotificationTypes.POLL_STARTED)];
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    narrow.removeEventListener('change', this.redraw);
    this.letSleep?.();
    for (const stop of this.stops) stop();
  }

  protected override render() {
    const { level, shownPanel: panel } = this;
    const me = store.getState(selectLocalPeer)?.id;
    const unread = this.messages.value.slice(this.read).filter((message) => message.sender !== me).length;
    return html`<main class="room" data-view=${level}>
      <header class="bar">
        ${mark()}<h1 title=${this.room.value.name}>${this.room.value.name || brandName}</h1>
        <div class="bar-end">
          ${level === 'gallery' && !this.myRole.value?.permissions.hlsStreaming ? nothing : html`<amphi-live></amphi-live>`}
          <button class="tool tool-small tool-text ${panel === 'people' ? 'tool-on' : ''}" type="button" data-testid="people-open"
            aria-label=${`People: ${count(this.people.value, 'person', 'people')} here`} aria-pressed=${panel === 'people'} title="People"
            @click=${() => this.open('people')}>${icon('people')} ${this.people.value}</button>
          <button class="tool tool-small" type="button" aria-label="Settings" title="Settings" data-testid="settings-open"
            @click=${() => this.show('settings')}>${icon('settings')}</button>
        </div>
      </header>
      <amphi-alerts class="banners"></amphi-alerts>
      <section class="floor" aria-label=${level === 'gallery' ? 'Live stream' : 'Pictures of the stage'}>
        ${level === 'gallery' ? html`<amphi-gallery></amphi-gallery>` : html`<amphi-stage></amphi-stage>`}
        <amphi-reactions></amphi-reactions>
      </section>
      <amphi-controls class="controls" role="toolbar" aria-label="Controls" .unread=${unread} .panel=${panel}
        @chat=${() => this.open('chat')} @people=${() => this.open('people')} @polls=${() => this.open('polls')} @help=${() => this.show('help')}
        @settings=${() => this.show('settings')} @leave=${this.leave} @end=${() => this.show('end')}></amphi-controls>
      <amphi-news .reading=${panel === 'chat'}></amphi-news>
      ${when(panel, () => html`<aside class="side" aria-label=${panelName[panel!]} @keydown=${this.escape}>
        <div class="side-head"><h2>${panelName[panel!]}</h2>
          ${when(this.panel, () => html`<button class="tool tool-small tool-plain" type="button" aria-label="Close" data-testid="panel-close"
            @click=${() => this.open(undefined)}>${icon('close')}</button>`)}</div>
        <div class="side-body">${
          panel === 'chat' ? html`<amphi-chat></amphi-chat>` : panel === 'people' ? html`<amphi-people></amphi-people>` : html`<amphi-polls></amphi-polls>`}</div>
      </aside>`)}
      ${this.overlay === 'settings' ? html`<amphi-settings @close=${() => this.show(undefined)}></amphi-settings>` : nothing}
      ${this.overlay === 'help' ? help(this.querySelector<Controls>('amphi-controls')?.available ?? [], () => this.show(undefined)) : nothing}
      ${this.overlay === 'end' ? dialog({
        title: 'End the session for everybody?', testid: 'confirm', onCancel: () => this.show(undefined),
        body: html`<p class="muted">Everybody leaves the room, and a running live stream ends.</p>`,
        actions: html`<button class="button" type="button" @click=${() => this.show(undefined)}>Stay</button>
          <button class="button button-danger" type="button" data-testid="confirm-ok" @click=${this.end}>End for everybody</button>`,
      }) : nothing}
    </main>`;
  }

  private open(panel: Panel | undefined): void {
    const fixed = panel === 'chat' && !this.panel && this.shownPanel === 'chat';
    if (!fixed) this.panel = panel === this.panel ? undefined : panel;
    this.requestUpdate();
    if (!panel || !this.shownPanel) return;
    void this.updateComplete.then(() => this.querySelector<HTMLElement>(firstIn[panel])?.focus());
  }

  private show(overlay: Room['overlay']): void {
    this.overlay = overlay;
    this.requestUpdate();
  }

  private readonly redraw = () => this.requestUpdate();

  private readonly escape = (event: KeyboardEvent) => {
    if (event.key === 'Escape' && this.panel && !event.defaultPrevented) this.open(undefined);
  };

  private readonly leave = () => this.dispatchEvent(new CustomEvent('leave'));

  private readonly end = async () => {
    this.show(undefined);
    try {
      await actions.endRoom(false, 'ended by the host');
      this.dispatchEvent(new CustomEvent('end'));
    } catch {
      toast('The session could not be ended. Try again.');
    }
  };
}
customElements.define('amphi-inside', Room);
