// Loads the Go client and talks to it. Everything that crosses is a string of JSON or a MediaStreamTrack.
//
// A Go program that ends (a panic that nobody caught) leaves an instance that throws at every call. The bridge
// then tells every client of that instance, and starts a new instance at the next call.

import type { HMSException } from './types.js';

/** Names of the built files beside the one that this code is bundled into. */
declare const __AMPHI_WASM__: string;
declare const __AMPHI_EXEC__: string;

/** What the Go program registers when it is ready (wasm/main.go). */
export interface GoProgram {
  client(emit: Emit): GoClient;
  player(): GoPlayer;
}
export interface GoClient {
  call(method: string, json: string, track?: MediaStreamTrack): Promise<string | undefined>;
}
export interface GoPlayer {
  /** One observation of the media element in, what to do out; see wasm/player. */
  tick(now: number, position: number, bufferEnd: number, liveEdge: number, wallLatency: number,
    paused: boolean, seeking: boolean, starved: boolean): { rate: number; seek: number; state: string; latency: number; target: number; reload: boolean };
  seekToLive(): void;
  release(): void;
}
export type Emit = (kind: 'state' | 'notification' | 'stats' | 'media', json: string, track?: MediaStreamTrack | null) => void;

interface Loader {
  importObject: WebAssembly.Imports;
  run(instance: WebAssembly.Instance): Promise<void>;
}
interface Boot {
  Go?: new () => Loader;
  __amphi?: { ready(program: GoProgram): void };
}

/** An error with the fields of the protocol's errors. */
export class HMSError extends Error implements HMSException {
  code = 6002;
  action = 'NONE';
  description = '';
  isTerminal = false;
  timestamp = new Date();
  nativeError?: Error;
  constructor(fields: Partial<HMSException>) {
    super(fields.message ?? fields.description ?? fields.name ?? 'unknown error');
    Object.assign(this, fields, { message: this.message });
    if (typeof fields.timestamp === 'number') this.timestamp = new Date(fields.timestamp);
    this.name = fields.name ?? 'Unknown';
  }
}

// In this form bundlers of applications find the files and take them along.
const wasmURL = () => new URL(__AMPHI_WASM__, import.meta.url).href;
const execURL = () => new URL(__AMPHI_EXEC__, import.meta.url).href;

let program: Promise<GoProgram> | undefined;
const onExit = new Set<() => void>();

/** The running Go program; loads it the first time. */
export function goProgram(): Promise<GoProgram> {
  program ??= boot().catch((error: unknown) => {
    program = undefined; // the next call tries again
    throw error;
  });
  return program;
}

/** The program is over, and with it all its clients. */
function exited(): void {
  program = undefined;
  for (const tell of [...onExit]) tell();
}

async function boot(): Promise<GoProgram> {
  const page = globalThis as Boot;
  const wasm = fetch(wasmURL());
  wasm.catch(() => {}); // awaited below
  await import(/* webpackIgnore: true */ /* @vite-ignore */ execURL());
  if (!page.Go) throw new HMSError({ name: 'ClientMissing', description: 'wasm_exec.js did not define Go', isTerminal: true });
  const go = new page.Go();
  const instance = await instantiate(wasm, go.importObject);
  return new Promise((resolve, reject) => {
    page.__amphi = { ready: resolve };
    void go.run(instance).finally(() => {
      reject(new HMSError({ name: 'ClientExited', description: 'the Go client ended while starting', isTerminal: true }));
      exited();
    });
  });
}

async function instantiate(response: Promise<Response>, imports: WebAssembly.Imports): Promise<WebAssembly.Instance> {
  const answer = await response;
  if (!answer.ok) {
    throw new HMSError({ name: 'ClientMissing', description: `${answer.url} answered ${answer.status}`, isTerminal: true });
  }
  if (answer.headers.get('content-type')?.startsWith('application/wasm')) {
    return (await WebAssembly.instantiateStreaming(answer, imports)).instance;
  }
  return (await WebAssembly.instantiate(await answer.arrayBuffer(), imports)).instance;
}

/** One client in the Go program. Calls wait until it is there, and keep their order. */
export class Bridge {
  private client?: Promise<GoClient>;

  /** ended: the Go program exited, and with it the call that it was in. */
  constructor(private readonly emit: Emit, ended: () => void) {
    onExit.add(() => {
      if (!this.client) return;
      this.client = undefined;
      ended();
    });
    this.connect().catch(() => {}); // who calls hears of it
  }

  private connect(): Promise<GoClient> {
    this.client ??= goProgram().then((go) => go.client(this.emit));
    this.client.catch(() => (this.client = undefined));
    return this.client;
  }

  async call<T = void>(method: string, args: object = {}, track?: MediaStreamTrack): Promise<T> {
    const client = await this.connect();
    try {
      const result = await client.call(method, JSON.stringify(args), track);
      return (result ? JSON.parse(result) : undefined) as T;
    } catch (error) {
      // A trap: the instance is beyond help, and does not even end its run.
      if (error instanceof WebAssembly.RuntimeError) exited();
      throw typeof error === 'string' ? new HMSError(JSON.parse(error) as Partial<HMSException>) : error;
    }
  }
}
