// What is behind somebody, blurred by their system or browser where it can (Media Capture Extensions, 6). The page computes
// nothing for it: a model of its own would cost a third of a core and a download larger than all else.

/** The standard's members that TypeScript does not have yet. */
type Blurs<T, V> = T & { backgroundBlur?: V };

const stored = 'amphi-blur';

/** Whether somebody wants it, now and next time. */
export const wantsBlur = (): boolean => localStorage.getItem(stored) === 'yes';

/** Whether there is a choice: a camera may also blur always, or never. */
export function canBlur(track?: MediaStreamTrack): boolean {
  const { backgroundBlur = [] }: Blurs<MediaTrackCapabilities, boolean[]> = track?.getCapabilities?.() ?? {};
  return backgroundBlur.includes(true) && backgroundBlur.includes(false);
}

export const isBlurred = (track: MediaStreamTrack): boolean =>
  (track.getSettings() as Blurs<MediaTrackSettings, boolean>).backgroundBlur === true;

/** Blurs or shows the background; the track's other constraints stay. */
export async function blur(track: MediaStreamTrack, on: boolean): Promise<void> {
  const constraints: Blurs<MediaTrackConstraints, boolean> = { ...track.getConstraints(), backgroundBlur: on };
  await track.applyConstraints(constraints);
  localStorage.setItem(stored, on ? 'yes' : 'no');
}

/** Gives a new track the blur that was chosen. A camera that refuses is shown as it is, and the switch says so. */
export async function keepBlur(track?: MediaStreamTrack): Promise<void> {
  if (!track || !wantsBlur() || !canBlur(track) || isBlurred(track)) return;
  await blur(track, true).catch((error: unknown) => console.warn('amphi: background blur', error));
}
