// Before the room: the name, and for who will be on stage how they look and sound.
import { html, nothing } from 'lit';
import { Capture } from './capture.js';
import { blurSwitch, deviceList } from './devices.js';
import type { Explanation } from './errors.js';
import type { Level } from './level.js';
import { levelName } from './level.js';
import { chime, loudspeaker } from './loudspeaker.js';
import type { HMSConfigInitialSettings } from './sdk.js';
import { toggleTheme } from './theme.js';
import { View, avatar, brandName, icon, mark, when } from './view.js';
import './meter.js';

export interface Entry {
  name: string;
  settings: HMSConfigInitialSettings;
}

const welcome: Record<Level, string> = {
  stage: 'You will be seen and heard.',
  floor: 'You watch in real time, chat, and can raise your hand.',
  gallery: 'You watch the live stream, chat, and can raise your hand.',
};

/** What a screen reader's user and everybody else calls them; the server's limit. */
const longestName = 60;

/** A page that embeds this one may know who it is for. */
const givenName = () => new URLSearchParams(location.search).get('name')?.slice(0, longestName);

class Preview extends View {
  static override properties = {
    room: {}, level: {}, joining: { type: Boolean }, problem: { attribute: false },
  };
  declare room: string;
  declare level: Level;
  declare joining: boolean;
  declare problem?: Explanation;
  private name = givenName() ?? localStorage.getItem('amphi-name') ?? '';
  private microphone = localStorage.getItem('amphi-microphone-off') !== 'yes';
  private camera = localStorage.getItem('amphi-camera-off') !== 'yes';
  private capture?: Capture;
  private sounding = false;

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.level !== 'stage') return;
    this.capture = new Capture(() => this.requestUpdate(), { audio: true, video: true });
    void this.capture.open();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.capture?.close();
  }

  protected override render() {
    const stage = this.level === 'stage';
    return html`<main class="preview" data-view="preview">
      <div class="preview-bar"><a class="brand" href="/">${mark()} ${brandName}</a>
        <button class="tool tool-small tool-plain" type="button" aria-label="Light or dark" title="Light or dark" @click=${toggleTheme}>
          ${icon('sun')}</button></div>
      <div class="preview-body ${stage ? '' : 'preview-body-slim'}">
        ${when(stage, () => this.picture())}
        <form class="preview-form" @submit=${this.submit}>
          <div class="preview-head">
            <span class="level level-${this.level}">${levelName[this.level]}</span>
            <h1>${this.room || 'Join the room'}</h1>
            <p>${welcome[this.level]}</p>
          </div>
          <div class="field">
            <label for="name">Your name</label>
            <input class="input" id="name" name="name" required maxlength=${longestName} autocomplete="name" placeholder="How others will see you"
              data-testid="join-name" .value=${this.name} ?autofocus=${true}
              @input=${(event: InputEvent) => { this.name = (event.target as HTMLInputElement).value; this.requestUpdate(); }} />
          </div>
          ${this.problem ? html`<div class="help" role="alert" data-testid="join-error">${icon('alert')}<strong>${this.problem.title}</strong>
            <span>${this.problem.text}</span></div>` : nothing}
          <button class="button button-primary button-wide" type="submit" data-testid="join-button"
            ?disabled=${this.joining} aria-busy=${this.joining}>${this.joining ? 'Joining…' : stage ? 'Join on stage' : 'Join'}</button>
        </form>
      </div>
    </main>`;
  }

  private picture() {
    const capture = this.capture!;
    const shown = this.camera && capture.video;
    return html`<div class="preview-self">
      <div class="preview-picture">
        <video autoplay playsinline muted .muted=${true} ?hidden=${!shown} aria-label="Your camera"></video>
        ${shown ? nothing : html`<div class="preview-still">${this.still()}</div>`}
        <div class="preview-tools">
          ${this.toggle('Microphone', this.microphone && !!capture.audio, !capture.audio, 'mic', 'mic-off', 'toggle-mic', this.toggleMicrophone)}
          ${this.toggle('Camera', this.camera && !!capture.video, !capture.video, 'camera', 'camera-off', 'toggle-camera', this.toggleCamera)}
        </div>
      </div>
      ${capture.problem ? html`<div class="help preview-problem" role="alert" data-testid="device-error">${icon('alert')}
        <strong>${capture.problem.title}</strong><span>${capture.problem.text}</span>
        ${when(capture.problem.retry, () => html`<button class="button button-small" type="button" data-testid="device-retry"
          @click=${() => void capture.open()}>Try again</button>`)}</div>` : nothing}
      <div class="preview-devices">
        ${deviceList('Camera', 'choose-camera', this.devices('videoinput'), capture.deviceOf('video'), (id) => void capture.choose('video', id))}
        ${blurSwitch(capture.video, () => {
          capture.problem = { title: 'The background was not blurred', text: 'The camera refused. You can join as it is.', retry: false };
          this.requestUpdate();
        })}
        <div>${deviceList('Microphone', 'choose-microphone', this.devices('audioinput'), capture.deviceOf('audio'), (id) => void capture.choose('audio', id))}
          <amphi-meter .track=${this.microphone ? capture.audio : undefined}></amphi-meter></div>
        <div class="preview-speaker">
          ${when(loudspeaker.canChoose && this.devices('audiooutput').length > 1, () => deviceList('Loudspeaker', 'choose-speaker', this.devices('audiooutput'),
            loudspeaker.chosen, (id) => loudspeaker.choose(id)))}
          <button class="button button-quiet" type="button" data-testid="test-speaker" ?disabled=${this.sounding} @click=${this.test}>
            ${icon('sound')} ${this.sounding ? 'Do you hear it?' : 'Test the loudspeaker'}</button></div>
      </div>
    </div>`;
  }

  private still() {
    if (this.capture!.opening) return html`<span class="spinner"></span><p>Please allow your camera and microphone.</p>`;
    return html`${avatar(this.name || '?')}<p>${this.capture!.video ? 'Your camera is off.' : 'No picture.'}</p>`;
  }

  private toggle(label: string, on: boolean, missing: boolean, yes: 'mic' | 'camera', no: 'mic-off' | 'camera-off', testid: string, run: () => void) {
    const does = on ? `Turn ${label.toLowerCase()} off` : `Turn ${label.toLowerCase()} on`;
    return html`<button class="tool ${on ? '' : 'tool-off'}" type="button" aria-label=${label} aria-pressed=${on} title=${does}
      data-testid=${testid} data-state=${on ? 'on' : 'off'} ?disabled=${missing} @click=${run}>${icon(on ? yes : no)}</button>`;
  }

  protected override updated(): void {
    const video = this.querySelector('video');
    const track = this.camera ? this.capture?.video : undefined;
    if (!video || (video.srcObject as MediaStream | null)?.getVideoTracks()[0] === track) return;
    video.srcObject = track ? new MediaStream([track]) : null;
  }

  private devices(kind: MediaDeviceKind): MediaDeviceInfo[] {
    return this.capture!.devices.filter((device) => device.kind === kind);
  }

  private readonly toggleMicrophone = () => {
    this.microphone = !this.microphone;
    localStorage.setItem('amphi-microphone-off', this.microphone ? 'no' : 'yes');
    this.requestUpdate();
  };

  private readonly toggleCamera = () => {
    this.camera = !this.camera;
    localStorage.setItem('amphi-camera-off', this.camera ? 'no' : 'yes');
    this.requestUpdate();
  };

  private readonly test = async () => {
    this.sounding = true;
    this.requestUpdate();
    await chime(loudspeaker.chosen).catch((error: unknown) => console.warn('amphi: loudspeaker', error));
    this.sounding = false;
    this.requestUpdate();
  };

  private readonly submit = (event: SubmitEvent) => {
    event.preventDefault();
    const name = this.name.trim();
    if (!name || this.joining) return;
    localStorage.setItem('amphi-name', name);
    const capture = this.capture;
    const settings: HMSConfigInitialSettings = capture ? {
      // Still opening is not missing: the browser's question may be unanswered.
      isAudioMuted: !this.microphone || (!capture.audio && !capture.opening),
      isVideoMuted: !this.camera || (!capture.video && !capture.opening),
      audioInputDeviceId: capture.deviceOf('audio') || undefined,
      videoDeviceId: capture.deviceOf('video') || undefined,
    } : {};
    this.dispatchEvent(new CustomEvent<Entry>('enter', { detail: { name, settings } }));
  };
}
customElements.define('amphi-preview', Preview);
