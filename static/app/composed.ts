// A page that is composed, or that an app opens for somebody: its address says how, as nobody is there to click.

const asked = new URLSearchParams(globalThis.location?.search ?? '');
const says = (name: string) => asked.get(name) === 'true';

export const composed = {
  /** Nothing is shown but the stage. */
  bare: says('skip_preview'),
  /** Into the room without a preview. */
  direct: says('skip_preview') || says('skip_preview_headful'),
  /** What lets one in, in place of a room code. */
  token: asked.get('auth_token') ?? undefined,
  name: asked.get('name')?.slice(0, 60) || 'Beam',
  /** Who speaks is large. */
  speaker: asked.get('ui_mode') === 'activespeaker',
};
