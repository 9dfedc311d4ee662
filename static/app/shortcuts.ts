// The keys of a call. With Alt, so that they work while a message is written; by place on the keyboard, as with Alt some
// systems put another letter on the key.

export type Shortcut = 'microphone' | 'camera' | 'screen' | 'hand' | 'chat' | 'people' | 'polls' | 'view' | 'leave';

export const shortcuts: Record<Shortcut, { code: string; keys: string; does: string }> = {
  microphone: { code: 'KeyM', keys: 'Alt+M', does: 'Microphone on or off' },
  camera: { code: 'KeyV', keys: 'Alt+V', does: 'Camera on or off' },
  screen: { code: 'KeyS', keys: 'Alt+S', does: 'Share your screen, or stop' },
  hand: { code: 'KeyH', keys: 'Alt+H', does: 'Raise or lower your hand' },
  chat: { code: 'KeyC', keys: 'Alt+C', does: 'Open or close the chat' },
  people: { code: 'KeyP', keys: 'Alt+P', does: 'Open or close the list of people' },
  polls: { code: 'KeyO', keys: 'Alt+O', does: 'Open or close the polls' },
  view: { code: 'KeyG', keys: 'Alt+G', does: 'Everybody alike, or who speaks large' },
  leave: { code: 'KeyL', keys: 'Alt+L', does: 'Leave the room' },
};

/** Which shortcut was pressed, if any. */
export function pressed(event: Pick<KeyboardEvent, 'altKey' | 'ctrlKey' | 'metaKey' | 'repeat' | 'code'>): Shortcut | undefined {
  if (!event.altKey || event.ctrlKey || event.metaKey || event.repeat) return undefined;
  return (Object.keys(shortcuts) as Shortcut[]).find((name) => shortcuts[name].code === event.code);
}
