// Which camera, microphone and loudspeaker, while in the room.
import { html } from 'lit';
import { deviceList } from './devices.js';
import { dialog } from './dialog.js';
import { actions, selectDevices, selectIsAllowedToPublish, selectLocalMediaSettings } from './sdk.js';
import { toggleTheme } from './theme.js';
import { toastDevice } from './toasts.js';
import { View, icon, when } from './view.js';
import { Watch } from './watch.js';

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
        ${when(this.may.value.video, () => deviceList('Camera', 'settings-camera', videoInput, chosen.videoInputDeviceId,
          (deviceId) => this.use('camera', actions.setVideoSettings({ deviceId }))))}
        ${when(this.may.value.audio, () => deviceList('Microphone', 'settings-microphone', audioInput, chosen.audioInputDeviceId,
          (deviceId) => this.use('microphone', actions.setAudioSettings({ deviceId }))))}
        ${when(audioOutput.length, () => deviceList('Loudspeaker', 'settings-speaker', audioOutput, chosen.audioOutputDeviceId ?? '',
          (deviceId) => this.use('microphone', actions.setAudioOutputDevice(deviceId))))}
        <button class="button button-quiet" type="button" @click=${toggleTheme}>${icon('sun')} Light or dark</button>`,
      actions: html`<button class="button button-primary" type="button" data-testid="settings-close" @click=${this.close}>Done</button>`,
    });
  }

  private use(device: 'camera' | 'microphone', change: Promise<void>): void {
    change.catch((error: unknown) => toastDevice(error, device));
  }

  private readonly close = () => this.dispatchEvent(new CustomEvent('close'));
}
customElements.define('amphi-settings', Settings);
