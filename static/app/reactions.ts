// Emoji that float over the picture.
import { html } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import { emojiOf, emojis, reactionEvent, reactionMessage } from './emoji.js';
import { menu, toggleMenu } from './menu.js';
import { HMSNotificationTypes, actions, notifications, selectLocalPeer, store } from './sdk.js';
import { toast } from './toasts.js';
import { View, icon } from './view.js';

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
  document.querySelector<Reactions>('amphi-reactions')?.show(id, 'You');
  actions.sendBroadcastMessage(reactionMessage(id), reactionEvent).catch(() => toast('Your reaction was not sent.'));
}

/** The button that opens the emoji. */
export const reactionPicker = () => html`<button class="tool" type="button" aria-label="React with an emoji" title="React"
    aria-haspopup="menu" data-testid="emoji-open" @click=${toggleMenu}>${icon('smile')}</button>
  ${menu('Reactions', Object.entries(emojis).map(([id, emoji]) => html`<button type="button" role="menuitem"
    aria-label=${id.replaceAll('_', ' ')} data-testid="emoji-${id}" @click=${() => react(id)}>${emoji}</button>`), 'emoji-grid')}`;
