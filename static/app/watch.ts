import type { ReactiveController, ReactiveControllerHost } from 'lit';
import type { StoreSelector } from './sdk.js';
import { store } from './sdk.js';

/** A part of the client's state that its host is drawn from: the host updates when the part changes. */
export class Watch<T> implements ReactiveController {
  private stop?: () => void;

  constructor(private readonly host: ReactiveControllerHost, private readonly selector: StoreSelector<T>) {
    host.addController(this);
  }

  get value(): T {
    return store.getState(this.selector);
  }

  hostConnected(): void {
    this.stop = store.subscribe(() => this.host.requestUpdate(), this.selector);
  }

  hostDisconnected(): void {
    this.stop?.();
  }
}
