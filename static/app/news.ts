// What happens in the room, said to who does not see it: one polite line at a time, and many arrivals as one sentence.
import { html } from 'lit';
import { count } from './format.js';
import { selectLive } from './live-state.js';
import type { HMSMessage, HMSStore } from './sdk.js';
import {
  HMSNotificationTypes, notifications, selectLocalPeer, selectPeersScreenSharing, selectRecordingState, store,
} from './sdk.js';
import { View } from './view.js';

/** Within this time arrivals and departures are gathered. */
const gatherMs = 1500;
/** More than so many are counted, not named. */
const mostNames = 3;

/** "Ann, Bob and Cy joined.", or "12 people joined." */
export function gathered(names: string[], did: string): string {
  if (names.length === 0) return '';
  if (names.length > mostNames) return `${count(names.length, 'person', 'people')} ${did}.`;
  const last = names.at(-1)!;
  return `${names.length > 1 ? `${names.slice(0, -1).join(', ')} and ${last}` : last} ${did}.`;
}

const selectRecording = (state: HMSStore): boolean => {
  const { browser, server, hls } = selectRecordingState(state);
  return browser.running || server.running || hls.running;
};

class News extends View {
  static override properties = { reading: { type: Boolean } };
  /** The chat is open, and says itself what is new in it. */
  declare reading: boolean;
  private line = '';
  private joined: string[] = [];
  private left: string[] = [];
  private timer = 0;
  private stops: (() => void)[] = [];

  override connectedCallback(): void {
    super.connectedCallback();
    const on = notifications.onNotification.bind(notifications);
    this.stops = [
      on(({ data }) => this.gather(this.joined, data.name), HMSNotificationTypes.PEER_JOINED),
      on(({ data }) => this.gather(this.left, data.name), HMSNotificationTypes.PEER_LEFT),
      on(({ data }) => { if (data.isHandRaised && !data.isLocal) this.say(`${data.name} raised a hand.`); }, HMSNotificationTypes.HAND_RAISE_CHANGED),
      on(({ data }) => this.message(data), HMSNotificationTypes.NEW_MESSAGE),
      on(({ data }) => this.say(`A ${data.type} was started: ${data.title}`), HMSNotificationTypes.POLL_STARTED),
      store.subscribe((live) => this.say({ live: 'The stream is live.', off: 'The stream has ended.', starting: '', failed: 'The stream has stopped.' }[live]), selectLive),
      store.subscribe((runs) => this.say(runs ? 'The room is being recorded.' : 'The recording has ended.'), selectRecording),
      store.subscribe((sharing) => { if (sharing[0] && !sharing[0].isLocal) this.say(`${sharing[0].name} shares a screen.`); }, selectPeersScreenSharing),
    ];
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearTimeout(this.timer);
    for (const stop of this.stops) stop();
  }

  protected override render() {
    return html`<p class="visually-hidden" role="status" aria-live="polite" data-testid="news">${this.line}</p>`;
  }

  private message(message: HMSMessage): void {
    if (this.reading || message.type !== 'chat' || message.sender === store.getState(selectLocalPeer)?.id) return;
    this.say(`${message.senderName ?? 'Somebody'} ${message.recipientPeer ? 'to you' : 'writes'}: ${String(message.message)}`);
  }

  private gather(names: string[], name: string): void {
    names.push(name);
    if (this.timer) return;
    this.timer = window.setTimeout(() => {
      this.timer = 0;
      this.say([gathered(this.joined.splice(0), 'joined'), gathered(this.left.splice(0), 'left')].filter(Boolean).join(' '));
    }, gatherMs);
  }

  private say(line: string): void {
    if (!line) return;
    this.line = line;
    this.requestUpdate();
  }
}
customElements.define('amphi-news', News);
