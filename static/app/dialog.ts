import { html } from 'lit';
import type { TemplateResult } from 'lit';
import { ref } from 'lit/directives/ref.js';

export interface DialogParts {
  title: string;
  body: unknown;
  actions: unknown;
  /** Escape was pressed. */
  onCancel: () => void;
  testid?: string;
}

let before: Element | null = null;

const show = (element?: Element) => {
  if (!element) {
    // Gone from the page: the keyboard goes on where it was before.
    if (before?.isConnected && before instanceof HTMLElement) before.focus();
    return;
  }
  // The callback runs before the element is in the document.
  queueMicrotask(() => {
    const dialog = element as HTMLDialogElement;
    if (!dialog.isConnected || dialog.open) return;
    before = document.activeElement;
    dialog.showModal();
  });
};

/** A modal question. It is open for as long as it is drawn. */
export const dialog = ({ title, body, actions, onCancel, testid }: DialogParts): TemplateResult => html`<dialog
  class="dialog" aria-label=${title} data-testid=${testid ?? 'dialog'} ${ref(show)}
  @cancel=${(event: Event) => { event.preventDefault(); onCancel(); }}>
  <h2>${title}</h2>
  <div class="dialog-body">${body}</div>
  <div class="dialog-actions">${actions}</div>
</dialog>`;
