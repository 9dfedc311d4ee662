// Messages to everybody, to a role, or to one person; those that matter for long are pinned above the others.
import { html } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import { timeOfDay } from './format.js';
import { linkify } from './linkify.js';
import type { HMSMessage, HMSStore } from './sdk.js';
import { actions, selectHMSMessages, selectLocalPeer, selectPeers, selectPermissions, selectRemotePeers, selectRolesMap, selectSessionStore, store } from './sdk.js';
import { toast } from './toasts.js';
import { View, icon, when } from './view.js';
import { Watch } from './watch.js';

/** Longest message, in characters; the server takes no more than 4 KB. */
const longest = 2000;

export const selectChat = (() => {
  let all: HMSMessage[] | undefined;
  let chat: HMSMessage[] = [];
  return (state: HMSStore): HMSMessage[] => {
    const now = selectHMSMessages(state);
    if (now !== all) {
      all = now;
      chat = now.filter((message) => message.type === 'chat' && typeof message.message === 'string');
    }
    return chat;
  };
})();

/** A message that is kept above the others, as 100ms's Prebuilt kit has it in the session store: its users see ours. */
export interface Pinned {
  id: string;
  /** "Ann: Welcome everybody" */
  text: string;
  authorId: string;
  pinnedBy: string;
}
const pinnedKey = 'pinnedMessages';
const mostPinned = 3;

/** What the session store has, if it is what it should be: anybody may write there. */
export function pinnedOf(value: unknown): Pinned[] {
  if (!Array.isArray(value)) return [];
  const isPinned = (one: unknown): one is Pinned => typeof (one as Pinned | null)?.id === 'string' && typeof (one as Pinned).text === 'string';
  return value.filter(isPinned).slice(0, mostPinned);
}

class Chat extends View {
  private readonly messages = new Watch(this, selectChat);
  private readonly others = new Watch(this, selectRemotePeers);
  private readonly roles = new Watch(this, selectRolesMap);
  private readonly permissions = new Watch(this, selectPermissions);
  private readonly pinned = new Watch(this, selectSessionStore(pinnedKey));
  /** '' = everybody, 'role:…' or 'peer:…'. */
  private to = '';
  /** The reader is at the newest message; then new ones scroll into view. */
  private atEnd = true;

  override connectedCallback(): void {
    super.connectedCallback();
    actions.sessionStore.observe(pinnedKey).catch((error: unknown) => console.warn('amphi: pinned messages', error));
  }

  /** Whoever keeps order in the room may pin. */
  private get mayPin(): boolean {
    const may = this.permissions.value;
    return !!(may?.changeRole || may?.removeOthers || may?.mute);
  }

  protected override render() {
    const pinned = pinnedOf(this.pinned.value);
    const messages = this.messages.value;
    // Whom we wrote to may have left since.
    if (this.to.startsWith('peer:') && !this.others.value.some((peer) => `peer:${peer.id}` === this.to)) this.to = '';
    return html`
      ${when(pinned.length, () => html`<ul class="pinned" aria-label="Pinned">${pinned.map((one) => html`<li data-testid="pinned-message">${icon('pin')}
        <p>${this.text(one.text)}</p>${when(this.mayPin, () => html`<button class="tool tool-small tool-plain" type="button" aria-label="Unpin: ${one.text}" title="Unpin"
          data-testid="unpin" @click=${() => this.keep(pinned.filter(({ id }) => id !== one.id))}>${icon('close')}</button>`)}</li>`)}</ul>`)}
      <div class="messages" role="log" aria-label="Chat" tabindex="0" @scroll=${this.scrolled}>
        ${messages.length === 0 ? html`<div class="messages-empty">${icon('chat')}<p>No messages yet. Say hello!</p></div>` : ''}
        ${repeat(messages, (message) => message.id, (message) => this.message(message, pinned))}
      </div>
      <form class="composer" @submit=${this.send}>
        <label class="composer-to">To
          <select class="input" data-testid="chat-to" aria-label="Send to" .value=${this.to}
            @change=${(event: Event) => { this.to = (event.target as HTMLSelectElement).value; this.requestUpdate(); }}>
            <option value="" ?selected=${!this.to}>everybody</option>
            <optgroup label="A role">${Object.keys(this.roles.value).map((role) => html`
              <option value="role:${role}" ?selected=${this.to === `role:${role}`}>${role}</option>`)}</optgroup>
            ${when(this.others.value.length, () => html`<optgroup label="One person">${this.others.value.map((peer) => html`
              <option value="peer:${peer.id}" ?selected=${this.to === `peer:${peer.id}`}>${peer.name}</option>`)}</optgroup>`)}
          </select>
        </label>
        <div class="composer-line">
          <textarea class="input" rows="1" maxlength=${longest} placeholder="Write a message" aria-label="Message"
            data-testid="chat-input" @keydown=${this.key}></textarea>
          <button class="tool tool-on" type="submit" aria-label="Send" title="Send" data-testid="chat-send">${icon('send')}</button>
        </div>
      </form>`;
  }

  private text(text: string) {
    return linkify(text).map((piece) => (piece.href
      ? html`<a href=${piece.href} target="_blank" rel="noopener noreferrer nofollow">${piece.text}</a>` : piece.text));
  }

  private keep(pinned: Pinned[]): void {
    actions.sessionStore.set(pinnedKey, pinned.slice(0, mostPinned)).catch(() => toast('The message could not be pinned. Try again.'));
  }

  private message(message: HMSMessage, pinned: Pinned[]) {
    const me = store.getState(selectLocalPeer)?.id;
    const own = message.sender === me;
    const to = this.recipient(message, me);
    return html`<article class="message ${to ? 'message-private' : ''}" data-testid="chat-message" data-from=${message.senderName ?? ''}>
      <div class="message-head"><strong>${own ? 'You' : message.senderName || 'Somebody'}</strong>
        ${when(to, () => html`<span class="message-to">to ${to}</span>`)}<time>${timeOfDay(message.time)}</time></div>
      <p class="message-text">${this.text(message.message as string)}</p>
      ${when(this.mayPin && !to && !pinned.some(({ id }) => id === message.id), () => html`<button class="message-pin" type="button" title="Pin"
        aria-label="Pin the message of ${own ? 'yours' : message.senderName ?? 'somebody'}" data-testid="pin-message" @click=${() => this.keep([{
          id: message.id, text: `${message.senderName || 'Somebody'}: ${message.message as string}`, authorId: message.senderUserId ?? '',
          pinnedBy: store.getState(selectLocalPeer)?.name ?? '',
        }, ...pinned])}>${icon('pin')}</button>`)}
    </article>`;
  }

  private recipient(message: HMSMessage, me: string | undefined): string {
    if (message.recipientRoles?.length) return message.recipientRoles.join(', ');
    if (!message.recipientPeer) return '';
    if (message.recipientPeer === me) return 'you';
    return store.getState(selectPeers).find((peer) => peer.id === message.recipientPeer)?.name ?? 'one person';
  }

  private readonly scrolled = (event: Event) => {
    const list = event.currentTarget as HTMLElement;
    this.atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  };

  protected override updated(): void {
    const list = this.querySelector('.messages');
    if (list && this.atEnd) list.scrollTop = list.scrollHeight;
  }

  private readonly key = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    (event.target as HTMLTextAreaElement).form!.requestSubmit();
  };

  private readonly send = async (event: SubmitEvent) => {
    event.preventDefault();
    const input = this.querySelector('textarea')!;
    const text = input.value.trim();
    if (!text) return input.focus();
    const [kind, target] = [this.to.slice(0, 4), this.to.slice(5)];
    input.value = '';
    this.atEnd = true;
    try {
      if (kind === 'role') await actions.sendGroupMessage(text, [target]);
      else if (kind === 'peer') await actions.sendDirectMessage(text, target);
      else await actions.sendBroadcastMessage(text);
    } catch {
      input.value ||= text; // nothing that was written gets lost
      toast('Your message was not sent. Try again.');
    }
  };
}
customElements.define('amphi-chat', Chat);
