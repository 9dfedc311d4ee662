// Which camera, microphone and loudspeaker, while in the room.
import { html } from 'lit';
import { blurSwitch, deviceList } from './devices.js';
import { dialog } from './dialog.js';
import { loudspeaker } from './loudspeaker.js';
import {
  actions, selectDevices, selectIsAllowedToPublish, selectLocalAudioTrackID, selectLocalMediaSettings, selectLocalPeerName, selectLocalVideoTrackID, store,
} from './sdk.js';
import { toggleTheme } from './theme.js';
import { toast, toastDevice } from './toasts.js';
import { View, icon, when } from './view.js';
import { Watch } from './watch.js';
import './meter.js';

class Settings extends View {
  private readonly devices = new Watch(this, selectDevices);
  private readonly chosen = new Watch(this, selectLocalMediaSettings);
  private readonly may = new Watch(this, selectIsAllowedToPublish);

  override connectedCallback(): void {
    super.connectedCallback();
    void actions.refreshDevices().catch(() => {});
  }

  protected override render() {
    const { audioInput, audioOutput, videoInput } = this.devices.value;
    const chosen = this.chosen.value;
    return dialog({
      title: 'Settings', testid: 'settings-dialog', onCancel: this.close,
      body: html`
        <form class="field" @submit=${this.rename}><label for="settings-name">Your name</label>
          <div class="field-line"><input class="input" id="settings-name" name="name" required maxlength="60" autocomplete="name" data-testid="settings-name"
            .value=${store.getState(selectLocalPeerName) ?? ''} /><button class="button" type="submit" data-testid="settings-rename">Change</button></div></form>
        ${when(this.may.value.video, () => deviceList('Camera', 'settings-camera', videoInput, chosen.videoInputDeviceId,
          (deviceId) => this.use('camera', actions.setVideoSettings({ deviceId }))))}
        ${when(this.may.value.video, () => blurSwitch(this.native(selectLocalVideoTrackID), () => toast('The background cannot be blurred now.')))}
        ${when(this.may.value.audio, () => deviceList('Microphone', 'settings-microphone', audioInput, chosen.audioInputDeviceId,
          (deviceId) => this.use('microphone', actions.setAudioSettings({ deviceId }))))}
        ${when(this.may.value.audio && this.native(selectLocalAudioTrackID), () => html`<amphi-meter .track=${this.native(selectLocalAudioTrackID)}></amphi-meter>`)}
        ${when(audioOutput.length, () => deviceList('Loudspeaker', 'settings-speaker', audioOutput, chosen.audioOutputDeviceId ?? '',
          (deviceId) => {
            loudspeaker.choose(deviceId);
            actions.setAudioOutputDevice(deviceId).catch(() => toast('That loudspeaker could not be used.'));
          }))}
        <button class="button button-quiet" type="button" @click=${toggleTheme}>${icon('sun')} Light or dark</button>`,
      actions: html`<button class="button button-primary" type="button" data-testid="settings-close" @click=${this.close}>Done</button>`,
    });
  }

  private native(which: typeof selectLocalAudioTrackID): MediaStreamTrack | undefined {
    const id = store.getState(which);
    return id ? actions.getNativeTrackById(id) : undefined;
  }

  private readonly rename = (event: SubmitEvent) => {
    event.preventDefault();
    const name = String(new FormData(event.target as HTMLFormElement).get('name')).trim();
    if (!name) return;
    localStorage.setItem('amphi-name', name);
    actions.changeName(name).then(() => toast(`You are ${name} now.`), () => toast('Your name could not be changed. Try again.'));
  };

  private use(device: 'camera' | 'microphone', change: Promise<void>): void {
    change.catch((error: unknown) => toastDevice(error, device));
  }

  private readonly close = () => this.dispatchEvent(new CustomEvent('close'));
}
customElements.define('amphi-settings', Settings);
