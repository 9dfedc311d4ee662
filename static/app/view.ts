import { LitElement, svg, html, nothing } from 'lit';
import type { TemplateResult } from 'lit';
import { initials } from './format.js';

/** Icons in static/icons/sprite.svg. */
export type IconName =
  | 'mic' | 'mic-off' | 'camera' | 'camera-off' | 'screen' | 'screen-off' | 'hand' | 'smile' | 'chat' | 'people' | 'live'
  | 'stop' | 'settings' | 'leave' | 'more' | 'chevron-up' | 'close' | 'check' | 'copy' | 'sun' | 'moon' | 'stage' | 'floor'
  | 'gallery' | 'remove' | 'sound' | 'sound-off' | 'play' | 'send' | 'alert' | 'lock' | 'door' | 'fullscreen' | 'end' | 'offline'
  | 'pin' | 'pin-off' | 'grid' | 'speaker' | 'pip' | 'poll' | 'keyboard' | 'trash' | 'plus' | 'pause' | 'quality';

/** Elements draw into the page itself, not a shadow tree: one style sheet serves them and the server's pages. */
export class View extends LitElement {
  protected override createRenderRoot(): HTMLElement {
    return this;
  }
}

const sprite = document.querySelector<HTMLElement>('[data-icons]')?.dataset['icons'] ?? '';

export const icon = (name: IconName, extra = ''): TemplateResult =>
  html`<svg class="icon ${extra}" aria-hidden="true">${svg`<use href="${sprite}#${name}"></use>`}</svg>`;

/** Whose page it is: the app's brand, as the server has written it, or Amphi. */
const { brand = '', logo = '' } = document.querySelector<HTMLElement>('amphi-meeting')?.dataset ?? {};
export const brandName = brand || 'Amphi';

/** The brand's logo, or the amphitheatre: rows around a stage. The same drawing as templates/brand.templ. */
export const mark = (): TemplateResult => logo ? html`<img class="mark logo" src=${logo} alt="">` : html`<svg class="mark" viewBox="0 0 48 37" aria-hidden="true">
  <path class="mark-gallery" d="M3 10a21 21 0 0 0 42 0"></path>
  <path class="mark-floor" d="M12.5 10a11.5 11.5 0 0 0 23 0"></path>
  <circle class="mark-stage" cx="24" cy="8" r="4.6"></circle>
</svg>`;

/** Initials on a colour that stays with the name. */
export function avatar(name: string): TemplateResult {
  let sum = 0;
  for (const char of name) sum = (sum * 31 + (char.codePointAt(0) ?? 0)) % 9973;
  return html`<span class="avatar tone-${sum % 6}" aria-hidden="true">${initials(name)}</span>`;
}

export const when = (condition: unknown, then: () => unknown): unknown => (condition ? then() : nothing);
