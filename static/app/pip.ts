// The stage in a small window above all others, while something else is done in this one.
import { html, render } from 'lit';
import { toast } from './toasts.js';

interface DocumentPictureInPicture {
  readonly window: Window | null;
  requestWindow(options: { width: number; height: number }): Promise<Window>;
}
const documents = (globalThis as { documentPictureInPicture?: DocumentPictureInPicture }).documentPictureInPicture;

/** How often the small window looks for who is to be seen. */
const followMs = 500;

export const canFloat = !!documents || !!globalThis.document?.pictureInPictureEnabled;

/** Whose picture is worth most: the large one, else who speaks, else the first that is not oneself. */
function source(): HTMLVideoElement | undefined {
  const tiles = [...document.querySelectorAll<HTMLElement>('.stage .tile[data-video="on"], .player')];
  const tile = tiles.find((one) => one.closest('.stage-large')) ?? tiles.find((one) => one.dataset['speaking'] === 'true' && !one.classList.contains('tile-mirror'))
    ?? tiles.find((one) => !one.classList.contains('tile-mirror')) ?? tiles[0];
  return tile?.querySelector('video') ?? undefined;
}

/** Opens the small window, or closes it. To be called from a click. */
export async function float(): Promise<void> {
  try {
    if (documents?.window) return documents.window.close();
    if (document.pictureInPictureElement) return await document.exitPictureInPicture();
    const video = source();
    // A player's picture has no stream that a second element could show.
    if (documents && video?.srcObject) return show(await documents.requestWindow({ width: 400, height: 225 }));
    if (!video) return toast('There is no picture to float yet.');
    await video.requestPictureInPicture();
  } catch (error) {
    console.warn('amphi: picture in picture', error);
    toast('This browser did not open the small window.');
  }
}

function show(small: Window): void {
  for (const sheet of document.querySelectorAll('link[rel="stylesheet"]')) small.document.head.append(sheet.cloneNode());
  small.document.body.className = 'floating';
  const room = document.querySelector('amphi-inside');
  const follow = () => {
    if (!room?.isConnected) return small.close(); // with the room goes its window
    const video = source();
    const name = video?.closest<HTMLElement>('.tile')?.dataset['peerName'] ?? '';
    render(html`<video autoplay playsinline muted .muted=${true} .srcObject=${video?.srcObject ?? null}></video><span>${name}</span>`, small.document.body);
  };
  follow();
  const timer = setInterval(follow, followMs);
  small.addEventListener('pagehide', () => clearInterval(timer));
}
