// A choice of devices of one kind, and of what they can do.
import { html, nothing } from 'lit';
import type { TemplateResult } from 'lit';
import { blur, canBlur, isBlurred } from './blur.js';

/** A labelled list of devices; empty when there is nothing to choose. */
export const deviceList = (label: string, testid: string, devices: MediaDeviceInfo[], chosen: string,
  choose: (deviceId: string) => void): TemplateResult => html`<div class="field">
  <label for=${testid}>${label}</label>
  <select class="input" id=${testid} data-testid=${testid} ?disabled=${devices.length === 0}
    @change=${(event: Event) => choose((event.target as HTMLSelectElement).value)}>
    ${devices.length === 0 ? html`<option>None found</option>` : devices.map((device) => html`
      <option value=${device.deviceId} ?selected=${device.deviceId === chosen}>${device.label || label}</option>`)}
  </select>
</div>`;

/** A switch for the background, of cameras that have one. */
export const blurSwitch = (track: MediaStreamTrack | undefined, failed: () => void): TemplateResult | typeof nothing =>
  (track && canBlur(track) ? html`<label class="check"><input type="checkbox" data-testid="blur" .checked=${isBlurred(track)}
    @change=${async (event: Event) => {
      const box = event.target as HTMLInputElement;
      await blur(track, box.checked).catch(failed);
      box.checked = isBlurred(track);
    }} />Blur what is behind me</label>` : nothing);
