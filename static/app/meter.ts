// How loud the microphone is, as a row of lamps.
import { html } from 'lit';
import { View } from './view.js';

const lamps = 12;

class Meter extends View {
  static override properties = { track: { attribute: false } };
  declare track?: MediaStreamTrack;
  private context?: AudioContext;
  private timer = 0;

  protected override render() {
    return html`<div class="meter" role="img" aria-label="Microphone level">${Array.from({ length: lamps }, () => html`<i></i>`)}</div>`;
  }

  protected override updated(changed: Map<string, unknown>): void {
    if (!changed.has('track')) return;
    this.end();
    if (!this.track) return;
    this.context = new AudioContext();
    const analyser = this.context.createAnalyser();
    analyser.fftSize = 512;
    this.context.createMediaStreamSource(new MediaStream([this.track])).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    this.timer = window.setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      let square = 0;
      for (const sample of samples) square += sample * sample;
      const decibel = 10 * Math.log10(square / samples.length + 1e-9);
      this.show(Math.round(((decibel + 55) / 45) * lamps)); // -55 dBFS is a quiet room, -10 a shout
    }, 80);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.end();
  }

  private show(lit: number): void {
    this.querySelectorAll('i').forEach((lamp, i) => lamp.classList.toggle('lit', i < lit));
  }

  private end(): void {
    clearInterval(this.timer);
    this.show(0);
    void this.context?.close();
    this.context = undefined;
  }
}
customElements.define('amphi-meter', Meter);
