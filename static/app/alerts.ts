// What the room wants the local person to know or to answer: banners above the picture, questions over it.
import { html, nothing } from 'lit';
import { dialog } from './dialog.js';
import { levelOf, rolesAt } from './level.js';
import { move } from './people.js';
import type { HMSChangeTrackStateRequest, HMSException, HMSPeer } from './sdk.js';
import {
  HMSNotificationTypes, HMSRoomState, actions, notifications, selectLocalPeer, selectLocalPeerRole, selectPermissions, selectRoleChangeRequest,
  selectRolesMap, selectRoomState, store,
} from './sdk.js';
import { toast, toastDevice } from './toasts.js';
import { View, icon, when } from './view.js';
import { Watch } from './watch.js';

/** Prebuilt's event to who asked, when the answer is no. */
const declinedEvent = 'role_change_declined';
const autoplayBlocked = 3008;

type Device = 'audio' | 'video';

class Alerts extends View {
  private readonly room = new Watch(this, selectRoomState);
  private readonly roleRequest = new Watch(this, selectRoleChangeRequest);
  private readonly me = new Watch(this, selectLocalPeer);
  private unmuteRequest?: HMSChangeTrackStateRequest;
  private soundBlocked = false;
  private answering = false;
  /** What the invited person wants to turn on: the client brings people on stage muted. */
  private readonly wants: Record<Device, boolean> = { audio: true, video: true };
  private readonly opening = new Set<Device>();
  private stops: (() => void)[] = [];

  override connectedCallback(): void {
    super.connectedCallback();
    const on = notifications.onNotification.bind(notifications);
    this.stops = [
      on(({ data }) => this.error(data), HMSNotificationTypes.ERROR),
      on(({ data }) => this.hand(data), HMSNotificationTypes.HAND_RAISE_CHANGED),
      on(({ data }) => this.moved(data), HMSNotificationTypes.ROLE_UPDATED),
      on(({ data }) => this.trackRequest(data), HMSNotificationTypes.CHANGE_TRACK_STATE_REQUEST),
      on(({ data }) => { if (data.type === declinedEvent) toast(`${data.senderName} prefers not to come on stage now.`); },
        HMSNotificationTypes.NEW_MESSAGE),
      on(() => toast('You are connected again.'), HMSNotificationTypes.RECONNECTED),
    ];
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    for (const stop of this.stops) stop();
  }

  protected override render() {
    return html`<div role="status" aria-live="assertive">
        ${when(this.room.value === HMSRoomState.Reconnecting, () => html`<div class="banner" data-testid="banner" data-kind="reconnecting">
          <span class="spinner"></span>${navigator.onLine ? 'The connection was lost. Reconnecting…' : 'You are offline. Waiting for the network…'}</div>`)}
        ${when(this.soundBlocked, () => html`<div class="banner" data-testid="banner" data-kind="sound">${icon('sound-off')}
          Your browser keeps the sound off. <button class="button button-small button-primary" type="button" data-testid="unblock-audio"
            @click=${this.unblock}>Turn sound on</button></div>`)}
      </div>
      ${this.roleDialog()} ${this.unmuteDialog()}`;
  }

  private roleDialog() {
    const request = this.roleRequest.value;
    if (!request) return nothing;
    const who = request.requestedBy?.name ?? 'The host';
    const stage = levelOf(request.role) === 'stage';
    return dialog({
      title: stage ? `${who} invites you on stage` : `${who} wants to make you ${request.role.name}`,
      testid: 'role-request', onCancel: this.decline,
      body: stage
        ? html`<p>Everybody in the room, and whoever watches the stream, will see and hear you. If your browser asks, allow camera and microphone.</p>
            <div class="checks">${this.check('video', 'Turn my camera on')} ${this.check('audio', 'Turn my microphone on')}</div>`
        : html`<p>You stay in the room. Only what you see and may do changes.</p>`,
      actions: html`<button class="button" type="button" data-testid="role-request-decline" @click=${this.decline}>Not now</button>
        <button class="button button-primary" type="button" data-testid="role-request-accept" ?disabled=${this.answering}
          @click=${this.accept}>${stage ? 'Come on stage' : 'Accept'}</button>`,
    });
  }

  private check(device: Device, label: string) {
    return html`<label class="check"><input type="checkbox" data-testid="role-request-${device}" .checked=${this.wants[device]}
      @change=${(event: Event) => { this.wants[device] = (event.target as HTMLInputElement).checked; }} />${label}</label>`;
  }

  /** Turns on what was agreed to, once there is a track for it. */
  protected override updated(): void {
    const me = this.me.value;
    for (const device of this.opening) {
      if (!(device === 'audio' ? me?.audioTrack : me?.videoTrack)) continue;
      this.opening.delete(device);
      const turnOn = device === 'audio' ? actions.setLocalAudioEnabled(true) : actions.setLocalVideoEnabled(true);
      turnOn.catch((error: unknown) => toastDevice(error, device === 'audio' ? 'microphone' : 'camera'));
    }
  }

  private unmuteDialog() {
    const request = this.unmuteRequest;
    if (!request) return nothing;
    const what = request.track.type === 'audio' ? 'microphone' : 'camera';
    const close = () => { this.unmuteRequest = undefined; this.requestUpdate(); };
    return dialog({
      title: `Turn your ${what} on?`, testid: 'unmute-request', onCancel: close,
      body: html`<p>${request.requestedBy?.name ?? 'The host'} asks you to turn your ${what} on.</p>`,
      actions: html`<button class="button" type="button" @click=${close}>Not now</button>
        <button class="button button-primary" type="button" data-testid="unmute-accept" @click=${() => {
          close();
          actions.setEnabledTrack(request.track.id, true).catch((error: unknown) => toastDevice(error, what));
        }}>Turn on</button>`,
    });
  }

  private readonly accept = async () => {
    const request = this.roleRequest.value;
    if (!request || this.answering) return;
    this.answering = true;
    this.requestUpdate();
    try {
      this.opening.clear();
      if (levelOf(request.role) === 'stage' && levelOf(store.getState(selectLocalPeerRole)) !== 'stage') {
        for (const device of ['video', 'audio'] as const) if (this.wants[device]) this.opening.add(device);
      }
      await actions.acceptChangeRole(request);
    } catch {
      this.opening.clear();
      toast('That did not work. Ask the host to try again.');
    } finally {
      this.answering = false;
      this.requestUpdate();
    }
  };

  private readonly decline = () => {
    const request = this.roleRequest.value;
    if (!request) return;
    actions.rejectChangeRole(request);
    if (request.requestedBy) {
      actions.sendDirectMessage(JSON.stringify({ type: declinedEvent }), request.requestedBy.id, declinedEvent).catch(() => {});
    }
  };

  private readonly unblock = () => {
    this.soundBlocked = false;
    this.requestUpdate();
    void actions.unblockAudio().catch(() => { this.soundBlocked = true; this.requestUpdate(); });
  };

  private error(error: HMSException): void {
    if (error.code === autoplayBlocked) {
      this.soundBlocked = true;
      this.requestUpdate();
    } else if (error.code >= 3000 && error.code < 4000) {
      const device = error.trackType === 'audio' ? 'microphone' : error.trackType === 'video' ? 'camera' : 'camera and microphone';
      toastDevice(error, device);
    }
  }

  /** A raised hand is shown to who can do something about it. */
  private hand(peer: HMSPeer): void {
    if (!peer.isHandRaised || peer.isLocal || !store.getState(selectPermissions)?.changeRole) return;
    const roles = store.getState(selectRolesMap);
    const onStage = levelOf(roles[peer.roleName ?? '']) === 'stage';
    const role = rolesAt('stage', roles)[0];
    toast(`${peer.name} raised a hand.`, onStage || !role ? undefined
      : { label: 'Bring on stage', testid: 'toast-bring-on-stage', run: () => void move(peer, role.name) });
  }

  private moved(peer: HMSPeer): void {
    const me = store.getState(selectLocalPeer);
    if (!me || peer.id !== me.id) return;
    const level = levelOf(store.getState(selectRolesMap)[peer.roleName ?? '']);
    toast({ stage: 'You are on stage.', floor: 'You are on the floor now.', gallery: 'You are in the gallery now.' }[level]);
    // The wish was heard.
    if (me.isHandRaised) void actions.lowerLocalPeerHand().catch(() => {});
  }

  private trackRequest(request: HMSChangeTrackStateRequest): void {
    if (request.enabled) {
      this.unmuteRequest = request;
      this.requestUpdate();
    } else {
      toast(`${request.requestedBy?.name ?? 'The host'} turned your ${request.track.type === 'audio' ? 'microphone' : 'camera'} off.`);
    }
  }
}
customElements.define('amphi-alerts', Alerts);
