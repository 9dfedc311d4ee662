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

const show = (element?: Element) => {
  // The callback runs before the element is in the document.
  queueMicrotask(() => {
    const dialog = element as HTMLDialogElement | undefined;
    if (dialog?.isConnected && !dialog.open) dialog.showModal();
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
