const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });

/** Time of day, e.g. 18:04. */
export const timeOfDay = (time: Date): string => clock.format(time);

/** Time passed, e.g. 4:07 or 1:02:09. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (n: number) => String(n).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** A thing and its number, e.g. "1 person", "3 people". */
export const count = (n: number, one: string, many: string): string => `${n} ${n === 1 ? one : many}`;

const segmenter = 'Segmenter' in Intl ? new Intl.Segmenter() : undefined;
const firstLetter = (word: string) => segmenter?.segment(word)[Symbol.iterator]().next().value?.segment ?? [...word][0] ?? '';

/** First letters of the first and the last word. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/).filter(Boolean);
  if (words.length === 0) return '?';
  const last = words.length > 1 ? firstLetter(words.at(-1)!) : '';
  return (firstLetter(words[0]!) + last).toLocaleUpperCase();
}
