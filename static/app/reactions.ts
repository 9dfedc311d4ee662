// Emoji that float over the picture. On the wire they are the custom event of 100ms's Prebuilt kit.
import { html } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import { HMSNotificationTypes, actions, notifications, selectLocalPeer, store } from './sdk.js';
import { menu, toggleMenu } from './menu.js';
import { toast } from './toasts.js';
import { View, icon } from './view.js';

export const reactionEvent = 'EMOJI_REACTION';

/** Names as in Prebuilt (emoji-mart's), so that its users and ours see each other's. */
export const emojis: Record<string, string> = {
  '+1': '👍', '-1': '👎', wave: '👋', clap: '👏', fire: '🔥', tada: '🎉', heart_eyes: '😍', joy: '😂', open_mouth: '😮', sob: '😭',
};

/** The emoji in an event's text, or undefined when it is none that we know. */
export function emojiOf(message: unknown): string | undefined {
  try {
    const event: unknown = typeof message === 'string' ? JSON.parse(message) : message;
    const id = (event as { emojiId?: unknown } | null)?.emojiId;
    return typeof id === 'string' && Object.hasOwn(emojis, id) ? id : undefined;
  } catch {
    return undefined;
  }
}

interface Floating {
  key: number;
  id: string;
  from: string;
  /** Percent of the picture's width. */
  left: number;
}

const mostFloating = 40;
const floatMs = 4000;

export class Reactions extends View {
  private floating: Floating[] = [];
  private next = 0;
  private stop?: () => void;

  override connectedCallback(): void {
    super.connectedCallback();
    this.stop = notifications.onNotification(({ data }) => {
      const id = data.type === reactionEvent ? emojiOf(data.message) : undefined;
      if (id && data.sender !== store.getState(selectLocalPeer)?.id) this.show(id, data.senderName ?? '');
    }, HMSNotificationTypes.NEW_MESSAGE);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.stop?.();
  }

  show(id: string, from: string): void {
    const key = this.next++;
    this.floating = [...this.floating, { key, id, from, left: 6 + Math.random() * 80 }].slice(-mostFloating);
    this.requestUpdate();
    setTimeout(() => {
      this.floating = this.floating.filter((reaction) => reaction.key !== key);
      this.requestUpdate();
    }, floatMs);
  }

  protected override render() {
    return html`<div class="reactions" aria-hidden="true">${repeat(this.floating, (reaction) => reaction.key, (reaction) => html`
      <div class="reaction" data-testid="reaction" data-emoji=${reaction.id} data-from=${reaction.from} data-left=${reaction.left}>
        <span>${emojis[reaction.id]}</span><small>${reaction.from}</small>
      </div>`)}</div>`;
  }

  protected override updated(): void {
    this.querySelectorAll<HTMLElement>('.reaction').forEach((element) => {
      element.style.setProperty('left', `${element.dataset['left']}%`);
    });
  }
}
customElements.define('amphi-reactions', Reactions);

function react(id: string): void {
  const me = store.getState(selectLocalPeer);
  document.querySelector<Reactions>('amphi-reactions')?.show(id, 'You');
  actions.sendBroadcastMessage(JSON.stringify({ type: reactionEvent, emojiId: id, senderId: me?.id }), reactionEvent)
    .catch(() => toast('Your reaction was not sent.'));
}

/** The button that opens the emoji. */
export const reactionPicker = () => html`<button class="tool" type="button" aria-label="React with an emoji" title="React"
    aria-haspopup="menu" data-testid="emoji-open" @click=${toggleMenu}>${icon('smile')}</button>
  ${menu('Reactions', Object.entries(emojis).map(([id, emoji]) => html`<button type="button" role="menuitem"
    aria-label=${id.replaceAll('_', ' ')} data-testid="emoji-${id}" @click=${() => react(id)}>${emoji}</button>`), 'emoji-grid')}`;
