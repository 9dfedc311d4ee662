// Where tracks meet elements: remote audio is played by elements made here, video by the application's. What of
// it is visible, and how large, is told to the Go client, which asks the server for the fitting layer.

export interface MediaInfo {
  trackId: string;
  kind: 'audio' | 'video';
  local: boolean;
}

export class Media {
  private readonly tracks = new Map<string, MediaStreamTrack>();
  private readonly speakers = new Map<string, HTMLAudioElement>();
  private readonly videos = new Map<string, Map<HTMLVideoElement, { visible: boolean; width: number; height: number }>>();
  private readonly trackOf = new WeakMap<Element, string>();
  private readonly pending = new Map<string, number>();
  private sink = '';

  private readonly seen = new IntersectionObserver((entries) => {
    for (const entry of entries) this.view(entry.target, { visible: entry.isIntersecting });
  });
  private readonly sized = new ResizeObserver((entries) => {
    for (const entry of entries) this.view(entry.target, { width: entry.contentRect.width, height: entry.contentRect.height });
  });

  /**
   * report tells the largest visible size of a track in device pixels, 0×0 when nobody sees it.
   * blocked is called when the browser wants a click before sound.
   */
  constructor(
    private readonly report: (trackId: string, width: number, height: number) => void,
    private readonly blocked: () => void,
  ) {}

  /** A track of the room got another MediaStreamTrack, or (null) none. */
  set(info: MediaInfo, track: MediaStreamTrack | null): void {
    const id = info.trackId;
    if (track) this.tracks.set(id, track);
    else this.tracks.delete(id);
    if (info.kind === 'video') {
      for (const element of this.videos.get(id)?.keys() ?? []) this.show(element, track);
    } else if (!info.local) {
      this.speak(id, track);
    }
  }

  native(id: string): MediaStreamTrack | undefined {
    return this.tracks.get(id);
  }

  attach(id: string, element: HTMLVideoElement): void {
    const before = this.trackOf.get(element);
    if (before !== undefined && before !== id) this.detach(before, element);
    let elements = this.videos.get(id);
    if (!elements) this.videos.set(id, (elements = new Map()));
    if (!elements.has(element)) {
      elements.set(element, { visible: false, width: element.clientWidth, height: element.clientHeight });
      this.trackOf.set(element, id);
      this.seen.observe(element);
      this.sized.observe(element);
    }
    this.show(element, this.tracks.get(id) ?? null);
  }

  detach(id: string, element: HTMLVideoElement): void {
    const elements = this.videos.get(id);
    if (!elements?.delete(element)) return;
    if (elements.size === 0) this.videos.delete(id);
    this.trackOf.delete(element);
    this.seen.unobserve(element);
    this.sized.unobserve(element);
    element.srcObject = null;
    this.tell(id);
  }

  /** Value 0 to 100; without id all. */
  volume(value: number, id?: string): void {
    for (const [track, element] of this.speakers) {
      if (id === undefined || id === track) element.volume = Math.min(1, Math.max(0, value / 100));
    }
  }

  async output(deviceId: string): Promise<void> {
    this.sink = deviceId;
    await Promise.all([...this.speakers.values()].map((element) => element.setSinkId?.(deviceId)));
  }

  /** To be called from a click: starts what the browser held back. */
  async unblock(): Promise<void> {
    await Promise.all([...this.speakers.values()].map((element) => element.play()));
  }

  /** Forgets all tracks; attached elements go dark. */
  clear(): void {
    for (const id of [...this.speakers.keys()]) this.speak(id, null);
    for (const [id, elements] of [...this.videos]) for (const element of [...elements.keys()]) this.detach(id, element);
    this.tracks.clear();
  }

  private show(element: HTMLVideoElement, track: MediaStreamTrack | null): void {
    const shown = (element.srcObject as MediaStream | null)?.getVideoTracks?.()[0] ?? null;
    if (shown === track) return;
    element.srcObject = track ? new MediaStream([track]) : null;
    if (!track) return;
    element.muted = true; // sound comes from its own element; and a muted video needs no click
    element.playsInline = true;
    element.autoplay = true;
    element.play().catch(() => {}); // interrupted by the next attach: harmless
  }

  private speak(id: string, track: MediaStreamTrack | null): void {
    let element = this.speakers.get(id);
    if (!track) {
      this.speakers.delete(id);
      if (element) element.srcObject = null;
      element?.remove();
      return;
    }
    if (!element) {
      element = document.createElement('audio');
      element.autoplay = true;
      element.hidden = true;
      if (this.sink) void element.setSinkId?.(this.sink);
      this.speakers.set(id, element);
      document.body.append(element);
    }
    element.srcObject = new MediaStream([track]);
    element.play().catch((error: unknown) => {
      if (error instanceof DOMException && error.name === 'NotAllowedError') this.blocked();
    });
  }

  private view(element: Element, change: Partial<{ visible: boolean; width: number; height: number }>): void {
    const id = this.trackOf.get(element);
    const entry = id === undefined ? undefined : this.videos.get(id)?.get(element as HTMLVideoElement);
    if (id === undefined || !entry) return;
    Object.assign(entry, change);
    this.tell(id);
  }

  /** Tells once things have settled: a grid that is laid out anew changes many sizes many times. */
  private tell(id: string): void {
    if (this.pending.has(id)) return;
    this.pending.set(id, window.setTimeout(() => {
      this.pending.delete(id);
      let width = 0;
      let height = 0;
      for (const view of this.videos.get(id)?.values() ?? []) {
        if (!view.visible) continue;
        width = Math.max(width, view.width);
        height = Math.max(height, view.height);
      }
      const scale = window.devicePixelRatio || 1;
      this.report(id, Math.round(width * scale), Math.round(height * scale));
    }, 80));
  }
}
