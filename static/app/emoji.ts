// The emoji of reactions, and the custom event that carries them: that of 100ms's Prebuilt kit.

export const reactionEvent = 'EMOJI_REACTION';

/** Names as in Prebuilt (emoji-mart's), so that its users and ours see each other's. */
export const emojis: Record<string, string> = {
  '+1': '👍', '-1': '👎', wave: '👋', clap: '👏', fire: '🔥', tada: '🎉', heart_eyes: '😍', joy: '😂', open_mouth: '😮', sob: '😭',
};

/** The emoji in an event's text, or undefined when it is none that we know. */
export function emojiOf(message: unknown): string | undefined {
  try {
    const event: unknown = typeof message === 'string' ? JSON.parse(message) : message;
    const id = (event as { emojiId?: unknown } | null)?.emojiId;
    return typeof id === 'string' && Object.hasOwn(emojis, id) ? id : undefined;
  } catch {
    return undefined;
  }
}

export const reactionMessage = (id: string): string => JSON.stringify({ type: reactionEvent, emojiId: id });
