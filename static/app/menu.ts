// Menus: native popovers (light dismiss, Escape, top layer come with them), placed at their button.
import { html } from 'lit';
import type { TemplateResult } from 'lit';

const margin = 8;
const sameClickMs = 150;

/** Opens or closes the popover that follows the button, with the first entry focused. */
export function toggleMenu(event: Event): void {
  const button = event.currentTarget as HTMLElement;
  const menu = button.nextElementSibling as HTMLElement;
  // A press on the button of an open menu has closed it already, as a press anywhere outside does.
  if (performance.now() - Number(menu.dataset['closed'] ?? -Infinity) < sameClickMs) return;
  if (menu.matches(':popover-open')) return menu.hidePopover();
  menu.showPopover();
  const from = button.getBoundingClientRect();
  const { width, height } = menu.getBoundingClientRect();
  const above = from.top - height - margin;
  const below = from.bottom + margin;
  const top = below + height <= innerHeight - margin ? below : Math.max(margin, above);
  const centred = from.left + from.width / 2 - width / 2;
  // Set through the object model: the page's policy refuses style attributes.
  menu.style.setProperty('top', `${top}px`);
  menu.style.setProperty('left', `${Math.max(margin, Math.min(centred, innerWidth - width - margin))}px`);
  menu.querySelector<HTMLElement>('button')?.focus();
}

/** A popover for toggleMenu. Choosing an entry closes it; arrow keys walk through the entries. */
export const menu = (label: string, content: unknown, kind = ''): TemplateResult => html`<div
  class="menu ${kind}" popover role="menu" aria-label=${label} @click=${close} @keydown=${walk}
  @beforetoggle=${remember}>${content}</div>`;

function close(event: Event): void {
  if ((event.target as Element).closest('button')) (event.currentTarget as HTMLElement).hidePopover();
}

function walk(event: KeyboardEvent): void {
  const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const items = [...(event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>('button:not(:disabled)')];
  const at = items.indexOf(document.activeElement as HTMLElement);
  items[(at + step + items.length) % items.length]?.focus();
}

function remember(event: ToggleEvent): void {
  if (event.newState === 'closed') (event.currentTarget as HTMLElement).dataset['closed'] = String(performance.now());
}
