// What the keyboard can do.
import { html } from 'lit';
import { dialog } from './dialog.js';
import { shortcuts } from './shortcuts.js';
import type { Shortcut } from './shortcuts.js';

/** The dialog that lists the shortcuts which do something for this person. */
export const help = (available: Shortcut[], close: () => void) => dialog({
  title: 'Keyboard', testid: 'help-dialog', onCancel: close,
  body: html`<dl class="keys">${available.map((name) => html`<div><dt>${keys(shortcuts[name].keys)}</dt><dd>${shortcuts[name].does}</dd></div>`)}
    <div><dt>${keys('?')}</dt><dd>Show this list</dd></div>
    <div><dt>${keys('Esc')}</dt><dd>Close what is open</dd></div></dl>
    <p class="muted">Tab goes from one button to the next, arrow keys through menus.</p>`,
  actions: html`<button class="button button-primary" type="button" data-testid="help-close" @click=${close}>Done</button>`,
});

const keys = (text: string) => text.split('+').map((key, i) => html`${i ? '+' : ''}<kbd>${key}</kbd>`);
