// Short news at the edge of the picture, read out by screen readers.
import { html } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import { explainDevice } from './errors.js';
import type { Device } from './errors.js';
import { when, View } from './view.js';

interface Toast {
  id: number;
  text: string;
  action?: { label: string; run: () => void; testid?: string };
}

const mostAtOnce = 3;
const shownMs = 6000;

let next = 0;
let toasts: Toast[] = [];
let panel: Toasts | undefined;

/** Shows a line of news for some seconds. */
export function toast(text: string, action?: Toast['action']): void {
  const id = next++;
  toasts = [...toasts.filter((toast) => toast.text !== text), { id, text, action }].slice(-mostAtOnce);
  panel?.requestUpdate();
  setTimeout(() => dismiss(id), action ? shownMs * 2 : shownMs);
}

/** Says why a device gives nothing. The client tells it twice, as an event and to who asked: it is shown once. */
export function toastDevice(error: unknown, device: Device): void {
  const { title, text } = explainDevice(error, device);
  toast(`${title}. ${text}`);
}

function dismiss(id: number): void {
  toasts = toasts.filter((toast) => toast.id !== id);
  panel?.requestUpdate();
}

class Toasts extends View {
  override connectedCallback(): void {
    super.connectedCallback();
    panel = this;
  }

  protected override render() {
    return html`<div class="toasts" role="status" aria-live="polite">${repeat(toasts, (toast) => toast.id, (toast) => html`
      <div class="toast" data-testid="toast">
        <span class="toast-text">${toast.text}</span>
        ${when(toast.action, () => html`<button type="button" data-testid=${toast.action!.testid ?? 'toast-action'}
          @click=${() => { toast.action!.run(); dismiss(toast.id); }}>${toast.action!.label}</button>`)}
      </div>`)}</div>`;
  }
}
customElements.define('amphi-toasts', Toasts);
