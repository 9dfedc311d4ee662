// The loudspeaker: which one, and whether it is heard.

const stored = 'amphi-loudspeaker';

type Sinkable = AudioContext & { setSinkId?: (id: string) => Promise<void> };

export const loudspeaker = {
  /** Browsers that cannot choose follow the system's choice. */
  canChoose: 'setSinkId' in (globalThis.HTMLMediaElement?.prototype ?? {}),
  get chosen(): string {
    return localStorage.getItem(stored) ?? '';
  },
  choose(deviceId: string): void {
    localStorage.setItem(stored, deviceId);
  },
};

const notes = [523.25, 659.25, 783.99]; // C, E, G
const noteSeconds = 0.18;

/** Plays three rising notes, and returns when they are over. To be called from a click. */
export async function chime(deviceId: string): Promise<void> {
  const context: Sinkable = new AudioContext();
  try {
    // A loudspeaker that is gone: then the system's own is heard.
    if (deviceId) await context.setSinkId?.(deviceId).catch(() => {});
    const loudness = context.createGain();
    loudness.connect(context.destination);
    notes.forEach((hertz, i) => {
      const begin = context.currentTime + i * noteSeconds;
      const tone = new OscillatorNode(context, { frequency: hertz });
      tone.connect(loudness);
      loudness.gain.setValueAtTime(0, begin);
      loudness.gain.linearRampToValueAtTime(0.25, begin + 0.02);
      loudness.gain.linearRampToValueAtTime(0, begin + noteSeconds);
      tone.start(begin);
      tone.stop(begin + noteSeconds);
    });
    await new Promise((done) => setTimeout(done, notes.length * noteSeconds * 1000 + 100));
  } finally {
    await context.close();
  }
}
