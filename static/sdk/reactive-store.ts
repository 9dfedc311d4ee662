import { HMSActions } from './actions.js';
import { Bridge } from './bridge.js';
import type { MediaInfo } from './media.js';
import { Media } from './media.js';
import { preloadPlayer } from './hls-player.js';
import { selectLocalPeerRole } from './selectors.js';
import { Notifications } from './notifications.js';
import type { IHMSNotifications } from './notifications.js';
import { Store } from './store.js';
import type { IHMSStoreReadOnly, Patch } from './store.js';
import { HMSStats } from './stats.js';
import type { HMSStatsStore } from './stats.js';
import type { HMSException, HMSGenericTypes } from './types.js';
import { HMSNotificationSeverity, HMSNotificationTypes, HMSRoomState } from './types.js';

/** One client: its state, its actions, its notifications. The Go program behind starts loading at once. */
export class HMSReactiveStore<T extends HMSGenericTypes = HMSGenericTypes> {
  private readonly store = new Store();
  private readonly notifications = new Notifications();
  private readonly media: Media;
  private readonly bridge: Bridge;
  private readonly actions: HMSActions<T>;
  private readonly stats = new HMSStats();
  private measures = false;

  constructor() {
    this.bridge = new Bridge((kind, json, track) => this.receive(kind, json, track ?? null), () => this.ended());
    this.media = new Media(
      (trackId, width, height) => void this.bridge.call('setViewport', { trackId, width, height }).catch(() => {}),
      () => this.fail({
        code: 3008, name: 'AutoplayBlocked', action: 'TRACK', isTerminal: false,
        message: 'the browser wants a click before sound', description: 'call unblockAudio() from a click handler',
      }),
    );
    this.actions = new HMSActions(this.bridge, this.media, this.store);
    // Who can neither publish nor subscribe will watch the stream: its player is there when it starts.
    this.store.subscribe((role) => {
      if (role && !role.publishParams.allowed.length && !role.subscribeParams.subscribeToRoles.length) preloadPlayer();
    }, selectLocalPeerRole);
    // A closed tab says goodbye, so that the others need not wait for a timeout.
    window.addEventListener('pagehide', () => void this.bridge.call('pageHidden').catch(() => {}));
    const online = () => void this.bridge.call('setOnline', { online: navigator.onLine }).catch(() => {});
    window.addEventListener('online', online);
    window.addEventListener('offline', online);
  }

  getActions(): HMSActions<T> {
    return this.actions;
  }

  /** @deprecated use getActions */
  getHMSActions(): HMSActions<T> {
    return this.actions;
  }

  /** What is measured of the media, every second from the first call on. */
  getStats = (): HMSStats => {
    if (!this.measures) void this.bridge.call('watchStats').catch(() => {});
    this.measures = true;
    return this.stats;
  };

  getStore(): IHMSStoreReadOnly {
    return this.store;
  }

  getNotifications(): IHMSNotifications {
    return this.notifications;
  }

  /** From now on subscribers are called once at subscription, with the present value. */
  triggerOnSubscribe(): void {
    this.store.triggerOnSubscribe();
  }

  private receive(kind: string, json: string, track: MediaStreamTrack | null): void {
    switch (kind) {
      case 'state':
        this.store.apply(JSON.parse(json) as Patch);
        break;
      case 'notification':
        this.notifications.emit(JSON.parse(json) as object);
        break;
      case 'stats':
        this.stats.replace(JSON.parse(json) as HMSStatsStore);
        break;
      case 'media':
        this.media.set(JSON.parse(json) as MediaInfo, track);
        break;
    }
  }

  /** The Go program is gone, and every connection with it. */
  private ended(): void {
    if (this.measures) void this.bridge.call('watchStats').catch(() => {}); // the next one is to measure too
    if (this.store.getState().room.roomState === HMSRoomState.Disconnected) return;
    this.media.clear();
    const state = this.store.getState();
    this.store.replace({ ...state, room: { ...state.room, isConnected: false, roomState: HMSRoomState.Failed } });
    this.fail({
      code: 6002, name: 'ClientExited', action: 'NONE', isTerminal: true,
      message: 'the client stopped unexpectedly', description: 'the call is over; join again to start anew',
    });
  }

  private fail(error: Omit<HMSException, 'timestamp'>): void {
    const data = { ...error, timestamp: new Date() };
    this.notifications.emit({
      type: HMSNotificationTypes.ERROR, message: error.message, severity: HMSNotificationSeverity.ERROR, data,
    });
  }
}
