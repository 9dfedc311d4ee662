// The start page shows its room as it is: the stream, small and silent, while there is one, and how many are where.
import type Hls from '../sdk/hls.js';

/** How often the page looks whether somebody went live. */
const everyMs = 5000;

let player: Hls | undefined;

/** Plays the stream that the page was drawn with, and follows what becomes of it. */
export function setUpOnAir(): void {
  const figure = document.querySelector<HTMLElement>('#on-air[data-follows]');
  if (!figure) return;
  void play(figure);
  setInterval(() => {
    if (!document.hidden) void look();
  }, everyMs);
}

/** Fetches the page again and takes what has changed. */
async function look(): Promise<void> {
  const response = await fetch(location.href).catch(() => null); // the server may be away for a moment
  if (!response?.ok) return;
  const now = new DOMParser().parseFromString(await response.text(), 'text/html').querySelector<HTMLElement>('#on-air');
  const shown = document.querySelector<HTMLElement>('#on-air');
  if (!now || !shown) return;
  if (now.dataset['playlist'] === shown.dataset['playlist']) {
    const [next, last] = [now, shown].map((figure) => figure.querySelector('.on-air-counts'));
    if (next && last && next.textContent !== last.textContent) last.replaceWith(document.adoptNode(next));
    return;
  }
  player?.destroy();
  player = undefined;
  shown.replaceWith(document.adoptNode(now));
  await play(now);
}

async function play(figure: HTMLElement): Promise<void> {
  const video = figure.querySelector('video');
  const playlist = figure.dataset['playlist'];
  if (!video || !playlist) return;
  const { Hls } = await import('../sdk/hls.js'); // half a megabyte that a page without a stream does not need
  if (!Hls.isSupported() || !video.isConnected) return;
  // A picture beside a text need not be at the edge: without the policy for that there is no Go program to load.
  player = new Hls({ disableLivePolicy: true, capLevelToPlayerSize: true, enableWorker: false });
  player.loadSource(playlist);
  player.attachMedia(video);
  video.muted = true; // drawn elements do not take the attribute's word for it
  if (!matchMedia('(prefers-reduced-motion: reduce)').matches) await video.play().catch(() => undefined);
}
