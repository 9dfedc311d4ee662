// What the start page and the error pages do in the browser: the theme button and the copy buttons.
import { setUpOnAir } from './on-air.js';
import { toggleTheme } from './theme.js';

document.querySelector('[data-theme-toggle]')?.addEventListener('click', toggleTheme);

for (const button of document.querySelectorAll<HTMLElement>('[data-copy]')) {
  button.addEventListener('click', () => void copy(button));
}

setUpOnAir();

async function copy(button: HTMLElement): Promise<void> {
  const link = new URL(button.dataset['copy']!, location.href).href;
  const use = button.querySelector('use');
  const status = document.querySelector('[data-copy-status]');
  try {
    await navigator.clipboard.writeText(link);
    if (status) status.textContent = 'Link copied';
    const icon = use?.getAttribute('href') ?? '';
    use?.setAttribute('href', icon.replace(/#.*/, '#check'));
    setTimeout(() => use?.setAttribute('href', icon.replace(/#.*/, '#copy')), 1600);
  } catch {
    // Pages of plain http have no clipboard: select the link, so that the keyboard can copy it.
    const text = button.parentElement?.querySelector('code');
    if (text) getSelection()?.selectAllChildren(text);
    if (status) status.textContent = 'Press Ctrl+C to copy';
  }
}
