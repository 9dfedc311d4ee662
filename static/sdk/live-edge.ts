// Keeps a media element near the live edge: ten times a second the Go policy (wasm/player) gets what the element
// reports, and says how fast to play and when to jump. Without the Go program the stream plays on at rate 1.

import type { GoPlayer } from './bridge.js';
import { goProgram } from './bridge.js';

/** What the policy said last. Times are in seconds. */
export interface LiveState {
  /** `playing`, `behind` (the viewer went back in time), `starved`, `paused` or `idle`. */
  state: string;
  /** Delay behind the moment it happened; NaN while unknown. */
  latency: number;
  /** What is buffered ahead, and how much of it the policy wants. */
  buffer: number;
  target: number;
  rate: number;
}

export interface LiveSource {
  /** When the picture that is shown was made, if the stream tells. */
  playingDate(): Date | null | undefined;
  /** Whether the stream goes on: only then there is an edge. */
  isLive(): boolean;
  /** Jumping did not help: start the engine anew. */
  reload(): void;
}

const tickMs = 100;

export class LiveEdge {
  private policy?: GoPlayer;
  private timer = 0;
  private stopped = false;
  private resting = false;

  constructor(
    readonly media: HTMLMediaElement,
    private readonly source: LiveSource,
    private readonly tell: (state: LiveState) => void,
  ) {
    goProgram().then((go) => {
      if (this.stopped) return;
      this.policy = go.player();
      if (!this.resting) this.tick();
    }, () => {}); // who uses the client hears of it there
  }

  /** Back to live, from wherever the viewer went. */
  seekToLive(): void {
    this.policy?.seekToLive();
    const edge = liveEdge(this.media);
    if (!Number.isNaN(edge)) this.media.currentTime = Math.max(0, edge - 1);
  }

  /** Until resume: the element has no stream for a moment. What the policy learnt of the network is kept. */
  rest(): void {
    this.resting = true;
    clearTimeout(this.timer);
    this.media.playbackRate = 1;
  }

  resume(): void {
    if (!this.resting) return;
    this.resting = false;
    if (this.policy) this.tick();
  }

  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    clearTimeout(this.timer);
    this.policy?.release();
    this.media.playbackRate = 1;
  }

  private tick(): void {
    if (this.stopped) return;
    this.timer = window.setTimeout(() => this.tick(), tickMs);
    if (!this.source.isLive()) return;
    const { media } = this;
    const end = bufferEnd(media);
    const date = this.source.playingDate();
    let decision;
    try {
      decision = this.policy!.tick(performance.now(), media.currentTime, end, liveEdge(media),
        date ? (Date.now() - date.getTime()) / 1000 : NaN, media.paused || media.ended, media.seeking,
        !media.seeking && media.readyState < HTMLMediaElement.HAVE_FUTURE_DATA);
    } catch {
      this.stop(); // the Go program ended
      return;
    }
    if (!decision) return;
    if (Math.abs(media.playbackRate - decision.rate) > 0.001) media.playbackRate = decision.rate;
    if (Number.isFinite(decision.seek)) media.currentTime = decision.seek;
    if (decision.reload) this.source.reload();
    const { state, latency, target, rate } = decision;
    this.tell({ state, latency, target, rate, buffer: end - media.currentTime });
  }
}

function liveEdge({ seekable }: HTMLMediaElement): number {
  return seekable.length ? seekable.end(seekable.length - 1) : NaN;
}

/** End of the buffered range that the position is in; NaN outside of all. */
function bufferEnd({ buffered, currentTime }: HTMLMediaElement): number {
  for (let i = 0; i < buffered.length; i++) {
    if (currentTime >= buffered.start(i) - 0.1 && currentTime <= buffered.end(i)) return buffered.end(i);
  }
  return NaN;
}
