// What the dashboard does in the browser. Everything works without it, as plain forms and links: it makes pages come
// quicker (htmx takes the body of the next page only), and adds what needs script: copying, passkeys, local times.
import htmx from 'htmx.org';
import { toggleTheme } from './theme.js';
import { setUpPasskeys } from './passkey.js';

// The pages' policy allows no eval and no inline style; and a page kept by the browser's script could show what somebody
// else signed in for.
htmx.config.allowEval = false;
htmx.config.includeIndicatorStyles = false;
htmx.config.allowScriptTags = false;
htmx.config.historyCacheSize = 0;
htmx.config.refreshOnHistoryMiss = true;
htmx.config.scrollBehavior = 'auto' as typeof htmx.config.scrollBehavior;
// A page that refuses is a page too.
htmx.config.responseHandling = [{ code: '204', swap: false }, { code: '...', swap: true }];

document.addEventListener('click', (event) => {
  const target = event.target as Element;
  if (target.closest('[data-theme-toggle]')) toggleTheme();
  const copies = target.closest<HTMLElement>('[data-copies]');
  if (copies) void copy(copies);
  // Browsers that know no commands of buttons yet, and the ones that close what they opened.
  const opener = target.closest<HTMLElement>('[commandfor]');
  if (opener && !('commandForElement' in opener)) dialogOf(opener)?.showModal();
  const closer = target.closest('[data-closes]');
  if (closer) {
    event.preventDefault();
    closer.closest('dialog')?.close();
  }
  // A press beside a dialog closes it, as one beside the menu does.
  if (target instanceof HTMLDialogElement) target.close();
  for (const menu of document.querySelectorAll<HTMLDetailsElement>('.dash-menu[open]')) {
    if (!menu.contains(target)) menu.open = false;
  }
});

document.addEventListener('keydown', (event) => {
  const menu = document.querySelector<HTMLDetailsElement>('.dash-menu[open]');
  if (event.key !== 'Escape' || !menu) return;
  menu.open = false;
  menu.querySelector('summary')?.focus();
});

document.addEventListener('change', (event) => {
  const choice = event.target as Element;
  if (choice.matches('[data-submits]')) choice.closest('form')?.requestSubmit();
});

const dialogOf = (opener: Element) =>
  document.getElementById(opener.getAttribute('commandfor')!) as HTMLDialogElement | null;

async function copy(button: HTMLElement): Promise<void> {
  const code = button.parentElement?.querySelector('code');
  try {
    await navigator.clipboard.writeText(button.dataset['copies']!);
    const use = button.querySelector('use');
    const icon = use?.getAttribute('href') ?? '';
    use?.setAttribute('href', icon.replace(/#.*/, '#check'));
    button.classList.add('copied');
    setTimeout(() => {
      use?.setAttribute('href', icon);
      button.classList.remove('copied');
    }, 1600);
  } catch {
    // Pages of plain http have no clipboard: select the text, so that the keyboard can copy it.
    if (!code) return;
    code.closest('details')?.setAttribute('open', '');
    getSelection()?.selectAllChildren(code);
  }
}

const moment = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

/** Makes what the server has sent the reader's own. */
function settle(root: ParentNode): void {
  for (const time of root.querySelectorAll('time')) {
    time.title = time.textContent ?? '';
    time.textContent = moment.format(new Date(time.dateTime));
  }
  // On a phone the page's own tab may be out of sight.
  for (const tab of root.querySelectorAll<HTMLElement>('.tabs [aria-current]')) {
    const tabs = tab.parentElement!;
    tabs.scrollLeft = tab.offsetLeft - tabs.offsetLeft - (tabs.clientWidth - tab.offsetWidth) / 2;
  }
  setUpPasskeys(root);
}

settle(document);
htmx.on('htmx:afterSwap', (event) => {
  const swapped = (event as CustomEvent).detail.target as HTMLElement;
  settle(swapped);
  if (swapped !== document.body) return;
  // As when a page is loaded: the keyboard begins at the first problem, or with the content.
  const first = document.querySelector<HTMLElement>('[aria-invalid="true"], [autofocus]') ?? document.querySelector<HTMLElement>('#content');
  first?.focus({ preventScroll: first.id === 'content' });
});
/** What is fetched again by itself rests while nobody looks, and while the keyboard is in it. */
const refreshes = (event: Event) => (event as CustomEvent).detail.elt.matches('[data-while-visible]') as boolean;
htmx.on('htmx:beforeRequest', (event) => {
  const part = (event as CustomEvent).detail.elt as HTMLElement;
  if (refreshes(event) && (document.hidden || part.contains(document.activeElement))) event.preventDefault();
});
htmx.on('htmx:sendError', (event) => {
  if (!refreshes(event)) location.reload();
});
