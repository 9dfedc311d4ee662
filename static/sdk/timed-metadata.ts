// Timed metadata: what the host sends with the stream, told when its moment is played.

/** The times are those of the moment it belongs to; duration is in milliseconds. */
export interface TimedMetadata {
  id?: string;
  payload: string;
  duration: number;
  startDate: Date;
  endDate?: Date;
}

interface Range {
  id: string;
  attr: Record<string, string | undefined>;
}

/** Bounds what a stream that never ends may leave behind. */
const maxRemembered = 1000;

/** EXT-X-DATERANGE with a base64 payload, each told once. */
export class TimedMetadataQueue {
  private waiting: TimedMetadata[] = [];
  private readonly known = new Set<string>();

  add(ranges: Record<string, Range | undefined>): void {
    for (const range of Object.values(ranges)) {
      const encoded = range?.attr['X-100MSLIVE-PAYLOAD'];
      if (!range || !encoded || this.known.has(range.id)) continue;
      if (this.known.size >= maxRemembered) this.known.delete(this.known.values().next().value!);
      this.known.add(range.id);
      const data = parse(range.id, encoded);
      if (data) this.waiting.push(data);
    }
  }

  /** What is due when the picture of `now` is shown. */
  due(now: Date | null | undefined): TimedMetadata[] {
    if (!now || this.waiting.length === 0) return [];
    const due = this.waiting.filter((data) => data.startDate <= now);
    this.waiting = this.waiting.filter((data) => data.startDate > now);
    return due;
  }
}

function parse(id: string, encoded: string): TimedMetadata | undefined {
  try {
    const { payload, start_date, end_date } = JSON.parse(atob(encoded)) as { payload: string; start_date: string; end_date: string };
    const startDate = new Date(start_date);
    const endDate = new Date(end_date);
    return { id, payload, startDate, endDate, duration: endDate.getTime() - startDate.getTime() };
  } catch {
    return undefined; // not ours
  }
}
