// The meeting page: preview, then the room, then a goodbye.
import { html } from 'lit';
import { composed } from './composed.js';
import { explain } from './errors.js';
import { tellHost } from './host.js';
import type { Explanation } from './errors.js';
import { levelOf } from './level.js';
import type { Level } from './level.js';
import { loudspeaker } from './loudspeaker.js';
import type { Entry } from './preview.js';
import {
  HMSNotificationTypes, HMSRoomState, actions, notifications, selectLocalPeerRole, selectRoomState, store,
} from './sdk.js';
import { View, mark, when } from './view.js';
import './preview.js';
import './room.js';
import './toasts.js';

type Phase = 'preview' | 'joining' | 'room' | 'ended';

interface Ending extends Explanation {
  reason: 'left' | 'removed' | 'room-ended' | 'refused' | 'lost';
}

/** Between being disconnected and hearing why. */
const reasonMs = 500;

const left: Ending = { reason: 'left', title: 'You have left the room', text: 'Thank you for being there.', retry: true };
const lost: Ending = {
  reason: 'lost', title: 'The connection was lost', text: 'We tried to reconnect for a while. Check your network, then join again.', retry: true,
};
const closed: Ending = { reason: 'room-ended', title: 'The session has ended', text: 'The host ended it for everybody. Thank you for being there.', retry: false };

class Meeting extends View {
  static override properties = { code: {}, room: {}, level: {} };
  declare code: string;
  declare room: string;
  declare level: Level;
  private phase: Phase = 'preview';
  private problem?: Explanation;
  private ending?: Ending;
  private token?: Promise<string>;

  override connectedCallback(): void {
    // What the server drew while the program was loading.
    this.replaceChildren();
    super.connectedCallback();
    tellHost('ready');
    store.subscribe((role) => { if (role && this.phase === 'room') tellHost('level', { level: levelOf(role) }); }, selectLocalPeerRole);
    store.subscribe((state) => this.roomState(state), selectRoomState);
    const on = notifications.onNotification.bind(notifications);
    on(() => this.end(closed), HMSNotificationTypes.ROOM_ENDED);
    on(({ data }) => this.end({
      reason: 'removed', title: 'You were removed from the room', retry: false,
      text: `${data.requestedBy?.name ?? 'The host'} removed you. If you think that it was a mistake, ask the host.`,
    }), HMSNotificationTypes.REMOVED_FROM_ROOM);
    on(({ data }) => {
      if (data.isTerminal && this.phase === 'room') this.end({ ...explain(data), reason: 'lost' });
    }, HMSNotificationTypes.ERROR);
    document.documentElement.classList.toggle('bare', composed.bare);
    if (composed.direct) {
      void this.join({ name: composed.name, settings: { isAudioMuted: true, isVideoMuted: true } });
      return;
    }
    // Early, so that a dead link shows at once and the client is loaded when the name is typed.
    this.fetchToken().catch((error: unknown) => {
      const why = explain(error);
      if (!why.retry) this.end({ ...why, reason: 'refused' });
    });
  }

  protected override render() {
    switch (this.phase) {
      case 'room':
        return html`<amphi-inside @leave=${this.leave} @end=${() => this.end(closed)}></amphi-inside><amphi-toasts></amphi-toasts>`;
      case 'ended':
        return this.goodbye(this.ending!);
      default:
        if (composed.direct && !this.problem) return html`<main class="notice" data-view="joining" aria-busy="true">${mark()}</main>`;
        return html`<amphi-preview .room=${this.room} .level=${this.level} .joining=${this.phase === 'joining'} .problem=${this.problem}
          @enter=${(event: CustomEvent<Entry>) => void this.join(event.detail)}></amphi-preview>`;
    }
  }

  private goodbye({ reason, title, text, retry }: Ending) {
    return html`<main class="notice" data-view="ended" data-reason=${reason}>
      ${mark()}<h1 tabindex="-1">${title}</h1><p role="status">${text}</p>
      <div class="notice-actions">
        ${when(retry, () => html`<button class="button button-primary" type="button" data-testid="rejoin" @click=${this.rejoin}>
          ${reason === 'left' ? 'Join again' : 'Try again'}</button>`)}
        <a class="button button-quiet" href="/">To the start page</a>
      </div>
    </main>`;
  }

  private fetchToken(): Promise<string> {
    this.token = composed.token ? Promise.resolve(composed.token) : actions.getAuthTokenByRoomCode({ roomCode: this.code });
    this.token.catch(() => (this.token = undefined));
    return this.token;
  }

  private async join({ name, settings }: Entry): Promise<void> {
    this.problem = undefined;
    this.become('joining');
    try {
      const authToken = await (this.token ?? this.fetchToken());
      await actions.join({ userName: name, authToken, settings, rememberDeviceSelection: !composed.direct });
    } catch (error) {
      // In the room already means that only camera or microphone failed, which the room tells.
      if (this.phase !== 'joining') return;
      console.warn('amphi: join', error);
      this.token = undefined;
      const why = explain(error);
      if (!why.retry) return this.end({ ...why, reason: 'refused' });
      this.problem = why;
      this.become('preview');
    }
  }

  private roomState(state: HMSRoomState): void {
    if (state === HMSRoomState.Connected && this.phase === 'joining') {
      this.become('room');
      // One that was unplugged since: the system's choice stays.
      if (loudspeaker.chosen) actions.setAudioOutputDevice(loudspeaker.chosen).catch(() => {});
      tellHost('join', { level: levelOf(store.getState(selectLocalPeerRole)) });
    }
    if ((state === HMSRoomState.Disconnected || state === HMSRoomState.Failed) && this.phase === 'room') {
      setTimeout(() => { if (this.phase === 'room') this.end(lost); }, reasonMs);
    }
  }

  private readonly leave = async () => {
    this.end(left);
    await actions.leave().catch((error: unknown) => console.warn('amphi: leave', error));
  };

  private readonly rejoin = () => {
    this.ending = undefined;
    this.problem = undefined;
    this.fetchToken().catch(() => {});
    this.become('preview');
  };

  private end(ending: Ending): void {
    if (this.phase === 'ended') return;
    this.ending = ending;
    this.become('ended');
    tellHost('leave', { reason: ending.reason });
    void this.updateComplete.then(() => this.querySelector<HTMLElement>('h1')?.focus());
  }

  private become(phase: Phase): void {
    this.phase = phase;
    this.requestUpdate();
  }
}
customElements.define('amphi-meeting', Meeting);
