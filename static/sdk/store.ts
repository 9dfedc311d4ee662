// The state as plain frozen objects. The Go client sends patches; a patch makes new objects on the way to what
// changed and leaves all others as they are, so that selectors can compare with ===.

import type { HMSStore, StoreSelector } from './types.js';
import { HMSRoomState } from './types.js';

/** One step of the state, as the Go client writes it. Versions are consecutive. */
export interface Patch {
  v: number;
  /** Start from the state of a client that is in no room. */
  reset?: boolean;
  /** Parts that are replaced whole. */
  set?: Partial<Record<keyof HMSStore, unknown>>;
  /** Parts that are maps: entries replaced, null = removed. */
  merge?: Partial<Record<keyof HMSStore, Record<string, unknown>>>;
  /** Chat messages: new ones are appended, known ones replaced, forgotten ones (oldest first) dropped. */
  messages?: { set?: { id: string }[]; drop?: string[] };
}

export type Listener<T> = (slice: T, previous: T) => void;

export interface IHMSStoreReadOnly {
  getState(): HMSStore;
  getState<T>(selector?: StoreSelector<T>): T;
  /** Calls back after every change of the selected part; returns what ends the subscription. */
  subscribe<T>(listener: Listener<T>, selector: StoreSelector<T>): () => void;
  subscribe(listener: Listener<HMSStore>): () => void;
}

/** The state of a client that is in no room. */
export const initialState = (): HMSStore => freeze({
  room: {
    id: '', name: '', isConnected: false, peers: [], localPeer: '', roomState: HMSRoomState.Disconnected,
    recording: { browser: { running: false }, server: { running: false }, hls: { running: false } },
    rtmp: { running: false }, hls: { running: false, variants: [] }, sessionId: '',
  },
  peers: {}, tracks: {}, speakers: {}, connectionQualities: {}, messages: { byID: {}, allIDs: [] },
  settings: { audioInputDeviceId: '', videoInputDeviceId: '', audioOutputDeviceId: '' },
  devices: { audioInput: [], audioOutput: [], videoInput: [] },
  roles: {}, templateAppData: {}, roleChangeRequests: [], sessionStore: {}, polls: {}, whiteboards: {}, errors: [],
});

export class Store implements IHMSStoreReadOnly {
  private state = initialState();
  private readonly subscriptions = new Set<() => void>();
  private fireAtOnce = false;

  // These are functions of the object itself: React bindings copy them out of it.
  readonly getState = (<T>(selector?: StoreSelector<T>): T | HMSStore =>
    selector ? selector(this.state) : this.state) as IHMSStoreReadOnly['getState'];

  readonly subscribe: IHMSStoreReadOnly['subscribe'] = <T>(listener: Listener<T>, selector?: StoreSelector<T>): () => void => {
    const select = selector ?? ((store: HMSStore) => store as unknown as T);
    let last = select(this.state);
    const check = () => {
      const value = select(this.state);
      if (isSame(value, last)) return;
      const previous = last;
      last = value;
      listener(value, previous);
    };
    this.subscriptions.add(check);
    if (this.fireAtOnce) listener(last, undefined as T);
    return () => this.subscriptions.delete(check);
  };

  /** From now on subscribers hear the present value at once. */
  triggerOnSubscribe(): void {
    this.fireAtOnce = true;
  }

  apply(patch: Patch): void {
    const next: Record<string, unknown> = { ...(patch.reset ? keepOfReset(this.state) : this.state) };
    for (const [key, value] of Object.entries(patch.set ?? {})) next[key] = freeze(revive(value));
    for (const [key, entries] of Object.entries(patch.merge ?? {})) {
      const map = { ...(next[key] as Record<string, unknown>) };
      for (const [id, value] of Object.entries(entries ?? {})) {
        if (value === null) delete map[id];
        else map[id] = freeze(key === 'sessionStore' ? value : revive(value)); // the application's own values stay as they are
      }
      next[key] = Object.freeze(map);
    }
    if (patch.messages) next['messages'] = messages((next as unknown as HMSStore).messages, patch.messages);
    this.replace(next as unknown as HMSStore);
  }

  replace(state: HMSStore): void {
    this.state = Object.freeze(state);
    for (const check of [...this.subscriptions]) {
      try {
        check();
      } catch (error) {
        // One subscriber's mistake must not keep the others from hearing.
        console.error('amphi: subscriber failed', error);
      }
    }
  }
}

/** Leaving a room forgets it, but not the devices of this machine nor what went wrong. */
function keepOfReset(state: HMSStore): HMSStore {
  return { ...initialState(), devices: state.devices, settings: state.settings, errors: state.errors, appData: state.appData };
}

function messages(old: HMSStore['messages'], change: NonNullable<Patch['messages']>): HMSStore['messages'] {
  const byID = { ...old.byID };
  let allIDs = old.allIDs;
  for (const message of change.set ?? []) {
    if (!(message.id in byID)) allIDs = [...allIDs, message.id];
    byID[message.id] = freeze(revive(message)) as HMSStore['messages']['byID'][string];
  }
  if (change.drop?.length) {
    const dropped = new Set(change.drop);
    allIDs = allIDs.filter((id) => !dropped.has(id));
    for (const id of dropped) delete byID[id];
  }
  return freeze({ byID, allIDs });
}

/** Times cross from Go as epoch milliseconds under these names, and are Date objects here. */
const times = new Set(['time', 'timestamp', 'startedAt', 'stoppedAt', 'createdAt', 'joinedAt', 'initialisedAt',
  'initialised_at', 'started_at', 'updated_at', 'stopped_at']);

export function revive(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revive);
  if (value === null || typeof value !== 'object') return value;
  const result: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(value)) {
    result[key] = times.has(key) && typeof inner === 'number' ? new Date(inner) : revive(inner);
  }
  return result;
}

export function freeze<T>(value: T): T {
  if (value !== null && typeof value === 'object' && !Object.isFrozen(value) && !(value instanceof Date)) {
    for (const inner of Object.values(value)) freeze(inner);
    Object.freeze(value);
  }
  return value;
}

/** Equal, or arrays or plain objects with equal entries: a selector may make its array anew. */
export function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (!a || !b || typeof a !== 'object' || typeof b !== 'object' || Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) =>
    Object.is((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]));
}
