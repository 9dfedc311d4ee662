// What went wrong, in words that say what to do next.

export interface Explanation {
  title: string;
  text: string;
  /** Trying the same again can help. */
  retry: boolean;
}

const codeOf = (error: unknown) => Number((error as { code?: unknown } | null)?.code ?? 0);
const messageOf = (error: unknown) => String((error as { message?: unknown } | null)?.message ?? error ?? '');

/** Why the room could not be entered, or had to be left. */
export function explain(error: unknown): Explanation {
  const code = codeOf(error);
  const said = messageOf(error);
  if (code === 401 || code === 2004) {
    return { title: 'This link has expired', text: 'Ask the host for a new link.', retry: false };
  }
  if (code === 404) {
    return { title: 'No room behind this link', text: 'Check that the link is complete, or ask the host for a new one.', retry: false };
  }
  if (code === 410) {
    return { title: 'This room has been closed', text: 'The host ended the session and locked the room.', retry: false };
  }
  if (code === 403 && /full|max/i.test(said)) {
    return { title: 'There is no free place', text: 'As many people as allowed are in the room with this link. Try again in a while.', retry: true };
  }
  if (code === 403) {
    return { title: 'The room is not open', text: 'The host has disabled this room or this link. Ask the host to open it.', retry: true };
  }
  if (code === 429) {
    return { title: 'Too many people at once', text: 'The server asks for a moment of patience. Try again in a few seconds.', retry: true };
  }
  if (code === 6010 || code === 6011) {
    return {
      title: 'This browser cannot take part',
      text: 'Live video needs a current browser and a secure address (https). Open the link in an up-to-date Chrome, Edge, Firefox or Safari.',
      retry: false,
    };
  }
  if (code === 1000 || code === 1003 || code === 1006 || code === 2003 || !navigator.onLine) {
    return { title: 'The server cannot be reached', text: 'Check your network connection, then try again.', retry: true };
  }
  return {
    title: 'That did not work',
    text: said ? `The server says: ${said}. Try again; if it stays, tell the host.` : 'Try again; if it stays, tell the host.',
    retry: true,
  };
}

export type Device = 'camera' | 'microphone' | 'camera and microphone';

/** Why camera or microphone gave nothing. Takes getUserMedia's errors and the client's. */
export function explainDevice(error: unknown, device: Device): Explanation {
  const name = String((error as { name?: unknown } | null)?.name ?? '');
  const code = codeOf(error);
  if (code === 3011 || /system/i.test(messageOf(error))) {
    return { title: `Your system blocks the ${device}`, text: 'Allow the browser to use it in the privacy settings of your computer, then try again.', retry: true };
  }
  if (name === 'NotAllowedError' || name === 'SecurityError' || code === 3001) {
    return { title: `Your browser blocks the ${device}`, text: 'Click the icon at the left of the address bar, allow it for this page, then try again.', retry: true };
  }
  if (name === 'NotFoundError' || name === 'OverconstrainedError' || code === 3002 || code === 3009 || code === 3014) {
    return { title: `No ${device} found`, text: 'Plug one in and try again, or join without.', retry: true };
  }
  if (name === 'NotReadableError' || name === 'AbortError' || code === 3003) {
    return { title: `The ${device} is busy`, text: 'Another program seems to use it. Close that program and try again.', retry: true };
  }
  return { title: `The ${device} does not answer`, text: 'Try again, or join without.', retry: true };
}
