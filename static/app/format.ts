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
