// How the person here wants to see the stage: their own choice, which nobody else is told.
import type { ReactiveController, ReactiveControllerHost } from 'lit';
import { composed } from './composed.js';

export type Kind = 'grid' | 'speaker';

const changed = new EventTarget();
let kind: Kind = composed.speaker || globalThis.localStorage?.getItem('amphi-view') === 'speaker' ? 'speaker' : 'grid';
let pinned: string | undefined;

export const arrangement = {
  get kind(): Kind {
    return kind;
  },
  /** The peer that is large whatever happens. */
  get pinned(): string | undefined {
    return pinned;
  },
  show(next: Kind): void {
    kind = next;
    pinned = undefined;
    localStorage.setItem('amphi-view', next);
    changed.dispatchEvent(new Event('change'));
  },
  /** Pins somebody, or lets go of who is pinned. */
  pin(peer: string): void {
    pinned = pinned === peer ? undefined : peer;
    changed.dispatchEvent(new Event('change'));
  },
};

/** Its host is drawn anew when the person chooses something else. */
export class WatchArrangement implements ReactiveController {
  private readonly changed = () => this.host.requestUpdate();

  constructor(private readonly host: ReactiveControllerHost) {
    host.addController(this);
  }

  hostConnected(): void {
    changed.addEventListener('change', this.changed);
  }

  hostDisconnected(): void {
    changed.removeEventListener('change', this.changed);
  }
}

/** What to choose from, all by peer id. */
export interface Scene {
  /** Who has a tile. */
  onStage: string[];
  me?: string;
  pinned?: string;
  /** Who shares a screen. */
  sharing?: string;
  /** Who speaks loudest now. */
  speaking?: string;
  /** Whom choose chose last. */
  before?: string;
  kind: Kind;
}

export type Large = { what: 'camera' | 'screen'; peer: string } | undefined;

/** What is large, beside the others; nothing when all are alike. A shared screen is, unless somebody else was pinned. */
export function choose({ onStage, me, pinned, sharing, speaking, before, kind }: Scene): Large {
  const camera = (peer: string): Large => ({ what: 'camera', peer });
  if (pinned && onStage.includes(pinned)) return camera(pinned);
  if (sharing) return { what: 'screen', peer: sharing };
  if (kind === 'grid' || onStage.length < 2) return undefined;
  // One does not look at oneself while speaking.
  if (speaking && speaking !== me && onStage.includes(speaking)) return camera(speaking);
  if (before && before !== me && onStage.includes(before)) return camera(before);
  return camera(onStage.find((peer) => peer !== me) ?? onStage[0]!);
}
