/*
 * What a test asks a page, put into it before the page's own scripts run.
 *
 *   E2E.one(selector), E2E.all(selector)   elements, also inside shadow roots
 *   E2E.point(selector)                    where a person would click, or why they could not
 *   E2E.inbound()                          what arrives over WebRTC, from the browser's own statistics
 */
(function (root) {
  'use strict';

  // Every connection that the page makes, to ask it for its statistics from outside.
  const connections = [];
  const Native = root.RTCPeerConnection;
  if (Native) {
    root.RTCPeerConnection = class RTCPeerConnection extends Native {
      constructor(...args) {
        super(...args);
        connections.push(this);
      }
    };
  }

  /** All elements that match, in document order, shadow roots included. */
  function all(selector, from = document) {
    const found = [...from.querySelectorAll(selector)];
    for (const element of from.querySelectorAll('*')) {
      if (element.shadowRoot) found.push(...all(selector, element.shadowRoot));
    }
    return found;
  }

  function visible(element) {
    const box = element.getBoundingClientRect();
    return box.width > 0 && box.height > 0 && element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  }

  /** The first visible match. */
  const one = (selector) => all(selector).find(visible) ?? null;

  /** The element under a point, also inside shadow roots. */
  function elementAt(x, y) {
    let element = document.elementFromPoint(x, y);
    while (element?.shadowRoot) {
      const inner = element.shadowRoot.elementFromPoint(x, y);
      if (!inner || inner === element) break;
      element = inner;
    }
    return element;
  }

  /** Whether b is a or inside of it, across shadow roots. */
  function contains(a, b) {
    for (let node = b; node; node = node.parentNode ?? node.host) if (node === a) return true;
    return false;
  }

  /** {x, y} of the middle of the element, or {why} a person could not click on it now. */
  function point(selector) {
    const element = one(selector);
    if (!element) return { why: all(selector).length ? 'it is hidden' : 'it is not there' };
    if (element.disabled) return { why: 'it is disabled' };
    element.scrollIntoView({ block: 'nearest', inline: 'nearest', behavior: 'instant' });
    const box = element.getBoundingClientRect();
    const x = box.x + box.width / 2;
    const y = box.y + box.height / 2;
    const top = elementAt(x, y);
    if (!top) return { why: 'it is outside of the window' };
    if (!contains(element, top)) return { why: `${top.outerHTML.slice(0, 120)} lies over it` };
    return { x, y };
  }

  /** {video: [{frames, width, height}], audio: [{energy}]} summed from the start; one entry a received track. */
  async function inbound() {
    const received = { video: [], audio: [] };
    for (const connection of connections) {
      if (connection.connectionState === 'closed') continue;
      for (const entry of (await connection.getStats()).values()) {
        if (entry.type !== 'inbound-rtp') continue;
        if (entry.kind === 'video') {
          received.video.push({ frames: entry.framesDecoded ?? 0, width: entry.frameWidth ?? 0, height: entry.frameHeight ?? 0 });
        } else {
          received.audio.push({ energy: entry.totalAudioEnergy ?? 0 });
        }
      }
    }
    return received;
  }

  root.E2E = { connections, all, one, visible, point, inbound };
})(globalThis);
