// Going live: the button, and the badge with the time on the air.
import { html, nothing } from 'lit';
import { dialog } from './dialog.js';
import { duration } from './format.js';
import { selectLive } from './live-state.js';
import { actions, selectHLSState, selectPermissions } from './sdk.js';
import { toast } from './toasts.js';
import { View, icon, when } from './view.js';
import { Watch } from './watch.js';

const startTimeoutMs = 20_000;

class Live extends View {
  private readonly live = new Watch(this, selectLive);
  private readonly hls = new Watch(this, selectHLSState);
  private readonly permissions = new Watch(this, selectPermissions);
  private asked?: 'start' | 'stop';
  private confirming = false;
  private clock = 0;
  private patience = 0;

  override connectedCallback(): void {
    super.connectedCallback();
    this.clock = window.setInterval(() => { if (this.live.value === 'live') this.requestUpdate(); }, 1000);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.clock);
    clearTimeout(this.patience);
  }

  protected override willUpdate(): void {
    const live = this.live.value;
    if (this.asked === 'start' ? live === 'live' || live === 'failed' : live === 'off') this.settle();
  }

  protected override render() {
    const live = this.live.value;
    const may = this.permissions.value?.hlsStreaming;
    const starting = this.asked === 'start' || live === 'starting';
    return html`
      ${when(live === 'live', () => html`<span class="live-badge" role="status" aria-label="Live" data-testid="live-badge">LIVE ${this.time()}</span>`)}
      ${!may ? nothing : live === 'live'
        ? html`<button class="button button-small" type="button" data-testid="end-stream" ?disabled=${this.asked === 'stop'}
            @click=${() => this.confirm(true)}>${icon('stop')} ${this.asked === 'stop' ? 'Ending…' : html`<span>End<span class="wide-only"> stream</span></span>`}</button>`
        : html`<button class="button button-small button-danger" type="button" data-testid="go-live" data-state=${starting ? 'starting' : live}
            ?disabled=${starting} @click=${this.start}>${icon('live')} ${starting ? 'Starting…' : 'Go live'}</button>`}
      ${this.confirming ? dialog({
        title: 'End the live stream?', testid: 'confirm', onCancel: () => this.confirm(false),
        body: html`<p class="muted">The gallery stops watching. The people on stage and on the floor stay in the room.</p>`,
        actions: html`<button class="button" type="button" @click=${() => this.confirm(false)}>Keep streaming</button>
          <button class="button button-danger" type="button" data-testid="confirm-ok" @click=${this.stop}>End stream</button>`,
      }) : nothing}`;
  }

  private time() {
    const since = this.hls.value.variants[0]?.startedAt;
    return since ? html`<time>${duration(Date.now() - since.getTime())}</time>` : nothing;
  }

  private confirm(open: boolean): void {
    this.confirming = open;
    this.requestUpdate();
  }

  private settle(): void {
    this.asked = undefined;
    clearTimeout(this.patience);
  }

  private readonly start = () => this.ask('start', () => actions.startHLSStreaming(), 'The stream could not be started');

  private readonly stop = () => {
    this.confirming = false;
    this.ask('stop', () => actions.stopHLSStreaming(), 'The stream could not be ended');
  };

  private ask(what: 'start' | 'stop', run: () => Promise<void>, failed: string): void {
    this.asked = what;
    this.requestUpdate();
    clearTimeout(this.patience);
    this.patience = window.setTimeout(() => { this.settle(); this.requestUpdate(); }, startTimeoutMs);
    run().catch((error: unknown) => {
      this.settle();
      this.requestUpdate();
      toast(`${failed}: ${error instanceof Error ? error.message : 'try again'}.`);
    });
  }
}
customElements.define('amphi-live', Live);
