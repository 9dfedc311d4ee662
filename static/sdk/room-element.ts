// <amphi-room code="abc-defg-hij">: the whole meeting page of a server, as part of another page. It lives in a frame:
// its style and its Content-Security-Policy stay its own, whatever the page around it has.

/** Messages of the meeting page to the page around it (static/app/host.ts). */
export interface RoomMessage {
  source: 'amphi';
  event: 'ready' | 'join' | 'leave' | 'level';
  detail: { reason?: string; level?: string };
}

const style = `
  :host { display: block; min-height: 360px; aspect-ratio: 16 / 9; }
  :host([hidden]) { display: none; }
  iframe { display: block; width: 100%; height: 100%; min-height: inherit; border: 0; }`;

/** What a room needs of the browser; a page with a Permissions-Policy of its own has to allow it too. */
const allow = ['camera', 'microphone', 'display-capture', 'autoplay', 'fullscreen', 'screen-wake-lock', 'speaker-selection'];

export class AmphiRoomElement extends HTMLElement {
  static readonly observedAttributes = ['code', 'server', 'name'];
  private readonly frame = document.createElement('iframe');

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open' });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(style);
    root.adoptedStyleSheets = [sheet];
    this.frame.part.add('frame');
    this.frame.title = 'Room';
    root.append(this.frame);
  }

  /** The room code, which says the role too. */
  get code(): string {
    return this.getAttribute('code') ?? '';
  }
  set code(value: string) {
    this.setAttribute('code', value);
  }

  /** Origin of the server; where this script came from, unless said otherwise. */
  get server(): string {
    return new URL(this.getAttribute('server') ?? '/', import.meta.url).origin;
  }
  set server(value: string) {
    this.setAttribute('server', value);
  }

  connectedCallback(): void {
    addEventListener('message', this.hear);
    this.load();
  }

  disconnectedCallback(): void {
    removeEventListener('message', this.hear);
    this.frame.removeAttribute('src'); // leaves the room
  }

  attributeChangedCallback(): void {
    if (this.isConnected) this.load();
  }

  private load(): void {
    if (!this.code) {
      this.frame.removeAttribute('src');
      return;
    }
    const url = new URL(`/meeting/${encodeURIComponent(this.code)}`, this.server);
    const name = this.getAttribute('name');
    if (name) url.searchParams.set('name', name);
    this.frame.allow = allow.map((feature) => `${feature} ${url.origin}`).join('; ');
    if (this.frame.src !== url.href) this.frame.src = url.href;
  }

  private readonly hear = ({ source, origin, data }: MessageEvent<Partial<RoomMessage> | null>) => {
    if (source !== this.frame.contentWindow || origin !== this.server || data?.source !== 'amphi' || !data.event) return;
    this.dispatchEvent(new CustomEvent(data.event, { detail: data.detail }));
  };
}

if (!customElements.get('amphi-room')) customElements.define('amphi-room', AmphiRoomElement);
