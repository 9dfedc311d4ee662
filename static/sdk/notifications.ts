import { freeze, revive } from './store.js';
import type { HMSNotification, HMSNotificationOf, HMSNotificationTypes } from './types.js';

export interface IHMSNotifications {
  /** Calls back at each notification of the given type or types, of all types without; returns what ends that. */
  onNotification<T extends HMSNotificationTypes>(
    callback: (notification: HMSNotificationOf<T>) => void, types: T | readonly T[]): () => void;
  onNotification(callback: (notification: HMSNotification) => void): () => void;
}

type Callback = (notification: HMSNotification) => void;

export class Notifications implements IHMSNotifications {
  private readonly listeners = new Map<symbol, { callback: Callback; types?: ReadonlySet<string> }>();
  private next = 0;

  /** A function of the object itself: React bindings copy it out of it. */
  readonly onNotification: IHMSNotifications['onNotification'] = (
    callback: (notification: never) => void, types?: string | readonly string[]): () => void => {
    const key = Symbol('listener');
    this.listeners.set(key, {
      callback: callback as Callback,
      types: types === undefined ? undefined : new Set<string>(typeof types === 'string' ? [types] : types),
    });
    return () => this.listeners.delete(key);
  };

  /** Hands on one notification as the Go client wrote it. */
  emit(raw: object): void {
    const notification = freeze({ ...(revive(raw) as object), id: this.next++ }) as HMSNotification;
    for (const { callback, types } of [...this.listeners.values()]) {
      if (types && !types.has(notification.type)) continue;
      try {
        callback(notification);
      } catch (error) {
        console.error('amphi: notification listener failed', error);
      }
    }
  }
}
