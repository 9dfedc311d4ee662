// What a page that embeds this one (<amphi-room>) hears of it. Nothing of it is secret: which pages may embed it at all
// is the server's Content-Security-Policy.
import type { RoomMessage } from '../sdk/room-element.js';

export function tellHost(event: RoomMessage['event'], detail: RoomMessage['detail'] = {}): void {
  if (window.parent === window) return;
  const message: RoomMessage = { source: 'amphi', event, detail };
  window.parent.postMessage(message, '*');
}
