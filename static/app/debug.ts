// The page with the media of a live room, for who runs the server: asks the API once a second, with a management token
// that stays in this tab.
import './site.js';
import { html, nothing, svg } from 'lit';
import type { TemplateResult } from 'lit';
import { View } from './view.js';
import { count } from './format.js';
import { bitrate, many, milliseconds, percent, quality, sparkline } from './figures.js';
import type { Counts, Path, PeerMedia, RoomMedia } from './figures.js';

/** How much of the past the lines show, in looks, one a second. */
const remembered = 60;

/** More people than this make the page slow, and nobody reads them: publishers and bad lines come first. */
const mostShown = 50;

const storage = 'amphi-management-token';

class Debug extends View {
  static override properties = { room: {}, media: { attribute: false }, problem: { attribute: false }, token: { attribute: false } };
  declare room: string;
  declare media?: RoomMedia;
  declare problem?: string;
  declare token: string;

  private readonly past = new Map<string, number[]>();
  private timer = 0;

  constructor() {
    super();
    this.token = sessionStorage.getItem(storage) ?? '';
    const given = /^#token=(.+)$/.exec(location.hash)?.[1];
    if (given) { // out of the address at once: it would be in the history, and on screenshots
      history.replaceState(null, '', location.pathname);
      this.keep(decodeURIComponent(given));
    }
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.replaceChildren(); // what was there for browsers without scripts
    if (this.token) void this.look();
  }

  private keep(token: string): void {
    this.token = token;
    sessionStorage.setItem(storage, token);
  }

  /** Asks once, and again a second after the answer. */
  private async look(): Promise<void> {
    clearTimeout(this.timer);
    if (!document.hidden) await this.ask();
    if (this.token) this.timer = window.setTimeout(() => void this.look(), 1000);
  }

  private async ask(): Promise<void> {
    try {
      const answer = await fetch(`/v2/active-rooms/${this.room}/stats`, { headers: { Authorization: `Bearer ${this.token}` }, cache: 'no-store' });
      if (answer.ok) {
        this.problem = undefined;
        this.media = (await answer.json()) as RoomMedia;
        this.remember(this.media);
        return;
      }
      const refusal = (await answer.json()) as { message?: string; details?: string[] };
      if (answer.status === 401) {
        this.token = '';
        sessionStorage.removeItem(storage);
      }
      this.media = undefined;
      this.problem = answer.status === 404 ? 'Nobody is in the room. The page shows who comes.' : refusal.details?.[0] ?? refusal.message ?? `status ${answer.status}`;
    } catch {
      this.problem = 'The server does not answer. The figures are the last ones.';
    }
  }

  private remember(media: RoomMedia): void {
    const seen = new Set<string>();
    const add = (key: string, value: number) => {
      seen.add(key);
      const values = this.past.get(key) ?? [];
      values.push(value);
      this.past.set(key, values.slice(-remembered));
    };
    for (const peer of media.peers) {
      for (const track of peer.tracks) for (const layer of track.layers) add(`${track.track_id} ${layer.layer}`, layer.bitrate);
      for (const s of peer.subscriptions) add(`${peer.id} ${s.track_id}`, s.bitrate);
    }
    for (const key of this.past.keys()) if (!seen.has(key)) this.past.delete(key);
  }

  protected override render(): TemplateResult {
    return html`
      <header class="debug-head">
        <h1>Media of a room</h1>
        <p class="muted"><code>${this.room}</code>${this.media ? html` · ${count(this.media.peers.length, 'person', 'people')} · ${new Date(this.media.at).toLocaleTimeString()}` : nothing}</p>
      </header>
      ${this.problem ? html`<p class="debug-problem" role="status" data-testid="problem">${this.problem}</p>` : nothing}
      ${this.token ? this.people() : this.door()}`;
  }

  private door(): TemplateResult {
    const enter = (event: SubmitEvent) => {
      event.preventDefault();
      const token = new FormData(event.target as HTMLFormElement).get('token') as string;
      this.problem = undefined;
      this.keep(token.trim());
      void this.look();
    };
    return html`<form class="debug-door" @submit=${enter}>
      <div class="field">
        <label for="token">Management token</label>
        <input class="input" id="token" name="token" type="password" required autocomplete="off" data-testid="token">
      </div>
      <button class="button button-primary" type="submit" data-testid="enter">Show</button>
      <p class="muted"><code>amphi token management</code> prints one on the server’s machine. It is kept in this tab only.</p>
    </form>`;
  }

  private people(): TemplateResult {
    const peers = this.media?.peers ?? [];
    // Who publishes comes first, and among the others those with the worst lines.
    const rank = (p: PeerMedia) => (p.tracks.length > 0 ? 0 : 10) + (p.quality < 0 ? 6 : p.quality);
    const shown = peers.toSorted((a, b) => rank(a) - rank(b)).slice(0, mostShown);
    const names = new Map(peers.map((p) => [p.id, p.name]));
    return html`<div class="debug-people">${shown.map((p) => this.person(p, names))}</div>
      ${peers.length > shown.length ? html`<p class="muted">${peers.length - shown.length} more, who only watch and whose lines are good.</p>` : nothing}`;
  }

  private person(p: PeerMedia, names: Map<string, string>): TemplateResult {
    const state = (name: string, value: string, path: Path) => value === 'none' || value === 'new' ? nothing : html`
      <div><dt>${name}</dt><dd class=${value === 'connected' ? '' : 'debug-bad'}>${value}</dd></div>
      ${path.packets > 0 ? html`<div><dt>lost</dt><dd class=${path.loss_percent >= 2 ? 'debug-bad' : ''}>${percent(path.loss_percent)} of ${many(path.packets)}</dd></div>` : nothing}
      ${path.rtt_ms > 0 ? html`<div><dt>round trip</dt><dd>${milliseconds(path.rtt_ms)}</dd></div>` : nothing}
      ${path.jitter_ms > 0 ? html`<div><dt>jitter</dt><dd>${milliseconds(path.jitter_ms)}</dd></div>` : nothing}`;
    return html`<article class="debug-person" data-testid="peer" data-peer-name=${p.name}>
      <header>
        <h2>${p.name}</h2>
        <span class="debug-tag">${p.role}</span>
        ${p.via ? html`<span class="debug-tag">${p.via}</span>` : nothing}
        <span class="debug-quality debug-quality-${Math.max(p.quality, 0)}" title="Quality of the line">
          <i></i><i></i><i></i><i></i><i></i><span>${quality(p.quality)}</span>
        </span>
      </header>
      <dl class="debug-line">${state('publishes', p.publish_state, p.uplink)}</dl>
      ${p.tracks.length > 0 ? this.table('Sends', p.tracks.flatMap((t) => (t.layers.length > 0 ? t.layers : [undefined]).map((l) => ({
        key: `${t.track_id} ${l?.layer ?? ''}`,
        what: html`${t.source === 'regular' ? t.type : `${t.source} ${t.type}`} <small>${t.codec}${t.layers.length > 1 ? ` · ${l?.layer}` : ''}</small>`,
        state: t.mute ? 'muted' : l?.active ? count(t.subscribers, 'subscriber', 'subscribers') : 'nothing comes',
        bad: !t.mute && !l?.active,
        counts: l,
      })))) : nothing}
      <dl class="debug-line">${state('subscribes', p.subscribe_state, p.downlink)}
        ${p.downlink_limit > 0 ? html`<div class="debug-bad"><dt>network takes</dt><dd>${bitrate(p.downlink_limit)}</dd></div>` : nothing}</dl>
      ${p.subscriptions.length > 0 ? this.table('Gets', p.subscriptions.map((s) => ({
        key: `${p.id} ${s.track_id}`,
        what: html`${names.get(s.peer_id) ?? 'somebody'} <small>${s.type}</small>`,
        state: s.layer !== 'none' ? s.type === 'video' ? s.layer + (s.limited ? ', no more fits' : '') : 'sent' : s.limited ? 'does not fit' : s.wanted ? 'nothing sent' : 'not wanted',
        bad: s.wanted && s.layer === 'none',
        counts: s,
      }))) : nothing}
      <p class="debug-agent muted">${p.agent}</p>
    </article>`;
  }

  private table(caption: string, rows: { key: string; what: TemplateResult; state: string; bad: boolean; counts: Counts | undefined }[]): TemplateResult {
    const number = (text: string, bad: boolean) => html`<td class=${bad ? 'debug-bad' : ''}>${text}</td>`;
    return html`<div class="debug-table"><table>
      <thead><tr><th scope="col">${caption}</th><th scope="col">State</th><th scope="col">Bit rate</th><th scope="col">Packets/s</th>
        <th scope="col">Frames/s</th><th scope="col">Lost now</th><th scope="col">Lost</th><th scope="col">NACK</th><th scope="col">PLI</th><th scope="col">Again</th><th scope="col">Dropped</th></tr></thead>
      <tbody>${rows.map((r) => {
        const c = r.counts;
        return html`<tr>
          <th scope="row">${r.what}</th>
          <td class=${r.bad ? 'debug-bad' : ''}>${r.state}</td>
          ${c ? html`<td class="debug-rate">${this.line(r.key)}${bitrate(c.bitrate)}</td>
            ${number(c.packets_per_second.toFixed(0), false)}${number(c.frames > 0 ? c.fps.toFixed(0) : '–', false)}
            ${number(percent(c.loss_percent), c.loss_percent >= 2)}${number(many(c.lost), false)}${number(many(c.nacks), false)}
            ${number(many(c.plis), false)}${number(many(c.retransmitted), false)}${number(many(c.dropped), false)}`
            : html`<td colspan="9"></td>`}
        </tr>`;
      })}</tbody>
    </table></div>`;
  }

  private line(key: string): TemplateResult {
    const points = sparkline(this.past.get(key) ?? [], remembered, 18, remembered);
    return html`<svg class="debug-spark" viewBox="0 0 ${remembered} 18" aria-hidden="true">${svg`<polyline points=${points}></polyline>`}</svg>`;
  }
}

customElements.define('amphi-debug', Debug);
