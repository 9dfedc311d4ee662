// Camera and microphone before the room is entered: the page's own capture, so that nothing is sent anywhere yet.
import { keepBlur } from './blur.js';
import { explainDevice } from './errors.js';
import type { Explanation } from './errors.js';

type Kind = 'audio' | 'video';

export class Capture {
  video?: MediaStreamTrack;
  audio?: MediaStreamTrack;
  devices: MediaDeviceInfo[] = [];
  /** Set while something could not be opened. */
  problem?: Explanation;
  opening = false;
  private readonly chosen: Record<Kind, string> = { audio: load('microphone'), video: load('camera') };
  private readonly refreshed = () => void this.list();

  constructor(private readonly changed: () => void, private readonly wants: Record<Kind, boolean>) {}

  async open(): Promise<void> {
    if (!navigator.mediaDevices) {
      this.problem = {
        title: 'No camera on an insecure page', retry: false,
        text: 'Browsers give camera and microphone to https addresses and localhost only. You can join without.',
      };
      return this.changed();
    }
    this.opening = true;
    this.problem = undefined;
    this.changed();
    navigator.mediaDevices.addEventListener('devicechange', this.refreshed);
    try {
      await this.get(this.wants.audio, this.wants.video);
    } catch (both) {
      // One of the two may be missing; the other is still worth having.
      if (this.wants.audio && this.wants.video) await this.openApart(both);
      else this.problem = explainDevice(both, this.wants.video ? 'camera' : 'microphone');
    }
    this.opening = false;
    await this.list();
  }

  /** Uses another camera or microphone, now and next time. */
  async choose(kind: Kind, deviceId: string): Promise<void> {
    this.chosen[kind] = deviceId;
    localStorage.setItem(kind === 'audio' ? 'amphi-microphone' : 'amphi-camera', deviceId);
    this[kind]?.stop();
    this[kind] = undefined;
    try {
      await this.get(kind === 'audio', kind === 'video');
      this.problem = undefined;
    } catch (error) {
      this.problem = explainDevice(error, kind === 'audio' ? 'microphone' : 'camera');
    }
    this.changed();
  }

  deviceOf(kind: Kind): string {
    return this[kind]?.getSettings().deviceId ?? this.chosen[kind];
  }

  close(): void {
    navigator.mediaDevices?.removeEventListener('devicechange', this.refreshed);
    this.audio?.stop();
    this.video?.stop();
    this.audio = this.video = undefined;
  }

  private async openApart(both: unknown): Promise<void> {
    const [audio, video] = await Promise.allSettled([this.get(true, false), this.get(false, true)]);
    if (audio.status === 'rejected' && video.status === 'rejected') this.problem = explainDevice(both, 'camera and microphone');
    else if (audio.status === 'rejected') this.problem = explainDevice(audio.reason, 'microphone');
    else if (video.status === 'rejected') this.problem = explainDevice(video.reason, 'camera');
  }

  private async get(audio: boolean, video: boolean): Promise<void> {
    const device = (kind: Kind) => (this.chosen[kind] ? { ideal: this.chosen[kind] } : undefined);
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: audio && { deviceId: device('audio') },
      video: video && { deviceId: device('video'), width: { ideal: 1280 }, height: { ideal: 720 } },
    });
    this.audio = stream.getAudioTracks()[0] ?? this.audio;
    this.video = stream.getVideoTracks()[0] ?? this.video;
    if (video) await keepBlur(this.video);
  }

  private async list(): Promise<void> {
    // Names are only told once something is open.
    this.devices = (await navigator.mediaDevices.enumerateDevices()).filter((device) => device.label);
    this.changed();
  }
}

const load = (name: string) => localStorage.getItem(`amphi-${name}`) ?? '';
