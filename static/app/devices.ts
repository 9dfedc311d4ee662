// A choice of devices of one kind.
import { html } from 'lit';
import type { TemplateResult } from 'lit';

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
