// Messages to everybody, to a role, or to one person.
import { html } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import { timeOfDay } from './format.js';
import { linkify } from './linkify.js';
import type { HMSMessage, HMSStore } from './sdk.js';
import { actions, selectHMSMessages, selectLocalPeer, selectPeers, selectRemotePeers, selectRolesMap, store } from './sdk.js';
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

class Chat extends View {
  private readonly messages = new Watch(this, selectChat);
  private readonly others = new Watch(this, selectRemotePeers);
  private readonly roles = new Watch(this, selectRolesMap);
  /** '' = everybody, 'role:…' or 'peer:…'. */
  private to = '';
  /** The reader is at the newest message; then new ones scroll into view. */
  private atEnd = true;

  protected override render() {
    const messages = this.messages.value;
    // Whom we wrote to may have left since.
    if (this.to.startsWith('peer:') && !this.others.value.some((peer) => `peer:${peer.id}` === this.to)) this.to = '';
    return html`
      <div class="messages" role="log" aria-label="Chat" tabindex="0" @scroll=${this.scrolled}>
        ${messages.length === 0 ? html`<div class="messages-empty">${icon('chat')}<p>No messages yet. Say hello!</p></div>` : ''}
        ${repeat(messages, (message) => message.id, (message) => this.message(message))}
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

  private message(message: HMSMessage) {
    const me = store.getState(selectLocalPeer)?.id;
    const own = message.sender === me;
    const to = this.recipient(message, me);
    return html`<article class="message ${to ? 'message-private' : ''}" data-testid="chat-message" data-from=${message.senderName ?? ''}>
      <div class="message-head"><strong>${own ? 'You' : message.senderName || 'Somebody'}</strong>
        ${when(to, () => html`<span class="message-to">to ${to}</span>`)}<time>${timeOfDay(message.time)}</time></div>
      <p class="message-text">${linkify(message.message as string).map((piece) => piece.href
        ? html`<a href=${piece.href} target="_blank" rel="noopener noreferrer nofollow">${piece.text}</a>` : piece.text)}</p>
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
