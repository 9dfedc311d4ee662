// <amphi-player src="https://…/master.m3u8">: the live stream of a room, or any other HLS.

import { HMSHLSPlayer } from './hls-player.js';
import type { HMSHLSStats } from './hls-player.js';
import type { TimedMetadata } from './timed-metadata.js';

const style = `
  :host { display: block; position: relative; aspect-ratio: 16 / 9; overflow: hidden; background: #141215; color: #fff;
    font: 500 14px/1.4 system-ui, sans-serif; }
  :host([hidden]), [hidden] { display: none !important; }
  video { display: block; width: 100%; height: 100%; object-fit: contain; }
  [part~=badge], [part~=button] { position: absolute; padding: 6px 12px; border: 0; border-radius: 8px; color: inherit; font: inherit; }
  [part~=badge] { top: 12px; left: 12px; background: #c2233a; font-weight: 700; font-size: 12px; letter-spacing: 0.05em; }
  [part~=badge][data-behind] { background: rgb(20 16 18 / 72%); }
  [part~=button] { inset: auto auto 16px 16px; padding: 10px 16px; background: #ffffff; color: #141215; cursor: pointer; }
  [part~=button]:focus-visible { outline: 3px solid #8ab8ff; outline-offset: 2px; }
  [part~=message] { position: absolute; inset: 0; display: grid; place-content: center; padding: 24px; text-align: center;
    background: rgb(20 18 21 / 80%); }`;

export interface AmphiPlayerEventMap {
  /** Every two seconds. */
  stats: CustomEvent<HMSHLSStats>;
  /** What the host sent with the stream, at its moment. */
  timedmetadata: CustomEvent<TimedMetadata>;
  /** The viewer left the live edge, or came back. */
  livechange: CustomEvent<{ isLive: boolean }>;
  /** The stream does not play just now; it is tried again unless `isTerminal`. */
  streamerror: CustomEvent<{ name: string; message: string; isTerminal: boolean }>;
}

export class AmphiPlayerElement extends HTMLElement {
  static readonly observedAttributes = ['src', 'muted', 'controls', 'poster'];
  private readonly video = document.createElement('video');
  private readonly badge = document.createElement('span');
  private readonly button = document.createElement('button');
  private readonly message = document.createElement('p');
  private player?: HMSHLSPlayer;
  private isLive = true;
  private silenced = false;

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open' });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(style);
    root.adoptedStyleSheets = [sheet];
    this.video.part.add('video');
    this.video.playsInline = true;
    this.badge.part.add('badge');
    this.badge.textContent = 'LIVE';
    this.button.part.add('button');
    this.button.type = 'button';
    this.message.part.add('message');
    this.message.setAttribute('role', 'status');
    root.append(this.video, this.badge, this.button, this.message);
    this.button.addEventListener('click', () => this.press());
    for (const event of ['playing', 'pause', 'volumechange', 'waiting'] as const) {
      this.video.addEventListener(event, () => {
        if (event === 'playing') this.say('');
        this.show();
        this.dispatchEvent(new Event(event));
      });
    }
    this.show();
  }

  /** The address of the playlist. */
  get src(): string {
    return this.getAttribute('src') ?? '';
  }
  set src(value: string) {
    this.setAttribute('src', value);
  }

  /** The element that plays, for what this one has no word for. */
  get media(): HTMLVideoElement {
    return this.video;
  }

  play(): Promise<void> {
    return this.player?.play() ?? Promise.resolve();
  }

  pause(): void {
    this.video.pause();
  }

  seekToLive(): Promise<void> {
    return this.player?.seekToLivePosition() ?? Promise.resolve();
  }

  connectedCallback(): void {
    this.open();
  }

  disconnectedCallback(): void {
    this.close();
  }

  attributeChangedCallback(name: string): void {
    if (name === 'src' && this.isConnected) this.open();
    this.video.muted = this.hasAttribute('muted') || this.silenced;
    this.video.controls = this.hasAttribute('controls');
    this.video.poster = this.getAttribute('poster') ?? '';
  }

  private open(): void {
    this.close();
    if (!this.src) return;
    if (!HMSHLSPlayer.isSupported()) {
      this.say('This browser cannot play the stream.');
      return;
    }
    this.say('Loading the stream…');
    const player = (this.player = new HMSHLSPlayer(new URL(this.src, document.baseURI).href, this.video));
    const tell = (type: string, detail: unknown) => this.dispatchEvent(new CustomEvent(type, { detail }));
    player.on('stats', (stats) => tell('stats', stats));
    player.on('timed-metadata', (data) => tell('timedmetadata', data));
    player.on('seek-pos-behind-live-edge', ({ isLive }) => {
      this.isLive = isLive;
      this.show();
      tell('livechange', { isLive });
    });
    player.on('error', ({ name, message, isTerminal }) => {
      if (this.video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) this.say('Waiting for the stream…');
      tell('streamerror', { name, message, isTerminal });
    });
    player.on('autoplay-blocked', () => this.blocked());
  }

  private close(): void {
    this.player?.reset();
    this.player = undefined;
    this.isLive = true;
  }

  /** The browser wants a click before sound: begin without, and offer the sound. */
  private blocked(): void {
    if (!this.silenced) {
      this.silenced = this.video.muted = true;
      this.video.play().catch(() => this.show());
    }
    this.say('');
    this.show();
  }

  private press(): void {
    if (this.silenced) this.silenced = this.video.muted = false;
    void this.seekToLive();
    this.show();
  }

  private say(text: string): void {
    this.message.textContent = text;
    this.message.hidden = !text;
  }

  private show(): void {
    this.badge.toggleAttribute('data-behind', !this.isLive);
    this.badge.hidden = this.video.paused;
    const label = this.silenced ? 'Turn sound on' : !this.isLive ? 'Back to live' : this.video.paused && !this.video.controls ? 'Play' : '';
    this.button.textContent = label;
    this.button.hidden = !label || !this.player;
  }
}

if (!customElements.get('amphi-player')) customElements.define('amphi-player', AmphiPlayerElement);
