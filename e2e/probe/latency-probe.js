/*
 * LatencyProbe measures the glass-to-glass delay of live video in a browser.
 *
 * A camera that is a canvas draws the wall clock into each of its pictures, as a panel that a machine can
 * read. A reader finds the panel again in any playing <video>, whether the picture came over WebRTC or HLS,
 * alone or as one tile of a composite, and subtracts: delay = moment of display - clock in the picture. All
 * pages of one machine share the clock.
 *
 * A classic script without dependencies, so that it can be put into a page before the page's own scripts:
 *
 *   LatencyProbe.installCamera({ id: 7 });             // getUserMedia() now answers with the clock
 *   const reader = LatencyProbe.read(video);           // looks for panels anywhere in the picture
 *   reader.reset();                                    // when the warm-up is over
 *   reader.summary();                                  // of all cameras, or summary(7) of one of them
 *
 * The panel is the top quarter of the picture: a magenta frame (it is what the reader searches for) around
 * 2 rows of 26 black and white cells. The outer columns are references, white over black on the left and
 * black over white on the right; they give the threshold, and refuse a box that is no panel. Between them
 * stand 48 bits, most significant first: camera id (8), epoch milliseconds modulo 2^32 (32), CRC-8 of those
 * five bytes. Only the luma of the middle of each cell is read: that survives VP8, VP9, AV1 and H.264 down
 * to 160x90, and scaling in a compositor.
 */
(function (root) {
  'use strict';

  const COLUMNS = 26;
  const ROWS = 2;
  const PANEL_HEIGHT = 1 / 4;    // of the picture's height
  const FRAME = 1 / 40;          // thickness of the magenta frame, of the picture's width
  const MIN_CONTRAST = 40;       // luma steps between the darkest white and the brightest black reference
  const FREEZE_MS = 250;         // a pause between two pictures that a person sees
  const MAX_SAMPLES = 20000;     // about ten minutes at 30 pictures a second
  const CLOCK_MODULUS = 2 ** 32; // the panel has 32 bits of milliseconds

  /** Epoch milliseconds, with fractions; monotonic within a page. */
  const now = () => performance.timeOrigin + performance.now();

  // ---- panel: bits ----

  /** CRC-8, polynomial x^8+x^2+x+1, initial value 0xff: an all-black box must not read as valid. */
  function crc8(bytes) {
    let crc = 0xff;
    for (const byte of bytes) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc & 0x80 ? 0x07 : 0)) & 0xff;
    }
    return crc;
  }

  /** The 48 bits of a panel, for a camera id of 0 to 255 and a time in epoch milliseconds. */
  function encode(id, time) {
    const t = Math.floor(time) % CLOCK_MODULUS;
    const bytes = [id & 0xff, (t >>> 24) & 0xff, (t >>> 16) & 0xff, (t >>> 8) & 0xff, t & 0xff];
    bytes.push(crc8(bytes));
    return bytes.flatMap((byte) => [7, 6, 5, 4, 3, 2, 1, 0].map((shift) => (byte >> shift) & 1));
  }

  /** {id, time} of 48 bits, time modulo 2^32; null if the checksum is wrong. */
  function decode(bits) {
    const bytes = [];
    for (let i = 0; i < 48; i += 8) bytes.push(bits.slice(i, i + 8).reduce((byte, bit) => (byte << 1) | bit, 0));
    if (crc8(bytes.slice(0, 5)) !== bytes[5]) return null;
    return { id: bytes[0], time: ((bytes[1] << 24) | (bytes[2] << 16) | (bytes[3] << 8) | bytes[4]) >>> 0 };
  }

  // ---- panel: pixels ----

  /** Whether a cell is white; the reference columns are column 0 and the last one. */
  function isWhite(column, row, bits) {
    if (column === 0) return row === 0;
    if (column === COLUMNS - 1) return row === 1;
    return bits[row * (COLUMNS - 2) + column - 1] === 1;
  }

  /** Draws the panel over the top of a width x height canvas. */
  function draw(context, width, height, id, time) {
    const bits = encode(id, time);
    const border = width * FRAME;
    const panel = height * PANEL_HEIGHT;
    const cellWidth = (width - 2 * border) / COLUMNS;
    const cellHeight = (panel - 2 * border) / ROWS;
    context.fillStyle = '#f0f';
    context.fillRect(0, 0, width, panel);
    for (let row = 0; row < ROWS; row++) {
      for (let column = 0; column < COLUMNS; column++) {
        // whole pixels: a blurred edge between two cells costs contrast after scaling down
        const left = Math.round(border + column * cellWidth);
        const right = Math.round(border + (column + 1) * cellWidth);
        const top = Math.round(border + row * cellHeight);
        const bottom = Math.round(border + (row + 1) * cellHeight);
        context.fillStyle = isWhite(column, row, bits) ? '#fff' : '#000';
        context.fillRect(left, top, right - left, bottom - top);
      }
    }
  }

  /** Mean luma of the middle of one cell of the panel that fills the image. */
  function cellLuma({ data, width, height }, column, row) {
    const border = width * FRAME;
    const cellWidth = (width - 2 * border) / COLUMNS;
    const cellHeight = (height - 2 * border) / ROWS;
    const left = Math.floor(border + (column + 0.3) * cellWidth);
    const right = Math.min(width - 1, border + (column + 0.7) * cellWidth);
    const top = Math.floor(border + (row + 0.3) * cellHeight);
    const bottom = Math.min(height - 1, border + (row + 0.7) * cellHeight);
    let sum = 0;
    let count = 0;
    for (let y = top; y <= bottom; y++) {
      for (let x = left; x <= right; x++) {
        const i = (y * width + x) * 4;
        sum += 0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2];
        count++;
      }
    }
    return count ? sum / count : 0;
  }

  /** Reads an image that a panel fills to its edges; null if it is none. */
  function readPanel(image) {
    const last = COLUMNS - 1;
    const white = [cellLuma(image, 0, 0), cellLuma(image, last, 1)];
    const black = [cellLuma(image, 0, 1), cellLuma(image, last, 0)];
    if (Math.min(...white) - Math.max(...black) < MIN_CONTRAST) return null;
    const threshold = (white[0] + white[1] + black[0] + black[1]) / 4;
    const bits = [];
    for (let row = 0; row < ROWS; row++) {
      for (let column = 1; column < last; column++) bits.push(cellLuma(image, column, row) > threshold ? 1 : 0);
    }
    return decode(bits);
  }

  /** Bounding boxes of the connected magenta areas of an image: where panels may be. */
  function findFrames({ data, width, height }) {
    const magenta = new Uint8Array(width * height);
    for (let p = 0, i = 0; p < magenta.length; p++, i += 4) {
      magenta[p] = data[i] > 140 && data[i + 1] < 110 && data[i + 2] > 140 ? 1 : 0;
    }
    const boxes = [];
    const stack = [];
    const visit = (p) => {
      if (magenta[p]) {
        magenta[p] = 0;
        stack.push(p);
      }
    };
    for (let start = 0; start < magenta.length; start++) {
      if (!magenta[start]) continue;
      const box = { left: width, right: 0, top: height, bottom: 0, pixels: 0 };
      visit(start);
      while (stack.length) {
        const p = stack.pop();
        const x = p % width;
        const y = (p - x) / width;
        box.left = Math.min(box.left, x);
        box.right = Math.max(box.right, x);
        box.top = Math.min(box.top, y);
        box.bottom = Math.max(box.bottom, y);
        box.pixels++;
        if (x > 0) visit(p - 1);
        if (x < width - 1) visit(p + 1);
        if (y > 0) visit(p - width);
        if (y < height - 1) visit(p + width);
      }
      const w = box.right - box.left + 1;
      const h = box.bottom - box.top + 1;
      // a panel is a wide frame; noise of the same colour is small or thin
      if (w >= 60 && h >= 8 && w > 1.5 * h && box.pixels > w) boxes.push({ x: box.left, y: box.top, w, h });
    }
    return boxes;
  }

  // ---- camera ----

  /** Calls tick every period milliseconds until the returned function is called; keeps its pace in a hidden tab. */
  function metronome(period, tick) {
    const code = `
      const start = performance.now();
      let n = 0;
      (function beat() {
        postMessage(0);
        n++;
        setTimeout(beat, Math.max(0, start + n * ${period} - performance.now()));
      })();`;
    try {
      const url = URL.createObjectURL(new Blob([code], { type: 'text/javascript' }));
      const worker = new Worker(url);
      URL.revokeObjectURL(url);
      worker.onmessage = tick;
      return () => worker.terminate();
    } catch { // the page's content policy forbids workers from blobs
      const timer = setInterval(tick, period);
      return () => clearInterval(timer);
    }
  }

  /** An audio track that beeps (1 kHz, 100 ms) on every full second. */
  function beeper() {
    const audio = new AudioContext();
    audio.resume().catch(() => {});
    const out = audio.createMediaStreamDestination();
    const gain = audio.createGain();
    const tone = audio.createOscillator();
    tone.frequency.value = 1000;
    gain.gain.value = 0;
    tone.connect(gain).connect(out);
    tone.start();
    let scheduled = 0;
    const timer = setInterval(() => {
      const second = Math.floor(now() / 1000) + 1;
      if (second <= scheduled) return;
      scheduled = second;
      const at = audio.currentTime + (second * 1000 - now()) / 1000;
      gain.gain.setValueAtTime(0.5, at);
      gain.gain.setValueAtTime(0, at + 0.1);
    }, 200);
    return {
      track: out.stream.getAudioTracks()[0],
      stop() {
        clearInterval(timer);
        audio.close();
      },
    };
  }

  /**
   * A camera that films the clock.
   * @param {object} [options] width, height, frameRate; id (0 to 255) tells cameras apart; audio adds the
   *   beeper; lateMs draws a clock that is late by so much (known error, for the probe's own test).
   * @returns {{stream: MediaStream, canvas: HTMLCanvasElement, stop: function(): void}}
   */
  function camera(options = {}) {
    const { width = 640, height = 360, frameRate = 30, id = 1, audio = true, lateMs = 0 } = options;
    const canvas = document.createElement('canvas');
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext('2d', { alpha: false });
    let n = 0;
    const shoot = () => {
      const panel = height * PANEL_HEIGHT;
      context.fillStyle = `hsl(${(n * 2) % 360} 40% 35%)`;
      context.fillRect(0, panel, width, height - panel);
      context.fillStyle = '#fff'; // something moves, as before a real camera
      context.fillRect(((n * width) / 90) % width, height * 0.8, width / 20, height * 0.08);
      context.font = `${Math.round(height / 9)}px monospace`;
      const time = now() - lateMs; // the clock is read last, right before the panel
      context.fillText(`#${id} ${new Date(time).toISOString().slice(11, 23)}`, width * 0.04, height * 0.5);
      draw(context, width, height, id, time);
      n++;
    };
    shoot();
    // captureStream(0) and requestFrame(): exactly one captured picture for one drawn clock
    const stream = canvas.captureStream(0);
    const [video] = stream.getVideoTracks();
    const stopShooting = metronome(1000 / frameRate, () => {
      shoot();
      video.requestFrame();
    });
    const microphone = audio ? beeper() : null;
    if (microphone) stream.addTrack(microphone.track);
    return {
      stream,
      canvas,
      stop() {
        stopShooting();
        stream.getTracks().forEach((track) => track.stop());
        if (microphone) microphone.stop();
      },
    };
  }

  /** A number out of a media constraint, which is a number or a set of bounds. */
  function constrained(value, otherwise) {
    if (typeof value === 'number') return value;
    return value?.exact ?? value?.ideal ?? value?.max ?? value?.min ?? otherwise;
  }

  /**
   * Makes getUserMedia() answer with a camera() of these options, so that an unmodified client publishes it.
   * Size and rate follow the client's constraints unless the options set them.
   */
  function installCamera(options = {}) {
    navigator.mediaDevices.getUserMedia = async (constraints = {}) => {
      const wanted = typeof constraints.video === 'object' ? constraints.video : {};
      const { stream } = camera({
        width: constrained(wanted.width, 640),
        height: constrained(wanted.height, 360),
        frameRate: Math.min(30, constrained(wanted.frameRate, 30)),
        ...options,
        audio: Boolean(constraints.audio),
      });
      const answer = new MediaStream();
      if (constraints.video) stream.getVideoTracks().forEach((track) => answer.addTrack(track));
      if (constraints.audio) stream.getAudioTracks().forEach((track) => answer.addTrack(track));
      return answer;
    };
  }

  // ---- reader ----

  const round = (x) => (Number.isFinite(x) ? Math.round(x * 10) / 10 : 0);

  /** The p-quantile of numbers sorted upwards; NaN of none. */
  function quantile(sorted, p) {
    return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))] : NaN;
  }

  class Reader {
    #video;
    #canvas = document.createElement('canvas');
    #context = this.#canvas.getContext('2d', { willReadFrequently: true });
    #panels = [];          // where panels were last, in fractions of the picture
    #sinceSearch = Infinity; // pictures since the whole picture was searched
    #lastTime = new Map(); // camera id -> clock of its last picture: a repeated picture is no new sample
    #callback = 0;

    constructor(video) {
      this.#video = video;
      this.reset();
      this.#wait();
    }

    /** Drops what was measured so far; where the panels are stays known. */
    reset() {
      this.samples = []; // {id, delay, at}, milliseconds
      this.gaps = [];    // between two pictures, milliseconds
      this.frames = 0;
      this.unreadable = 0;
      this.duplicates = 0;
      this.firstAt = 0;
      this.lastAt = 0;
    }

    stop() {
      this.#video.cancelVideoFrameCallback(this.#callback);
    }

    #wait() {
      this.#callback = this.#video.requestVideoFrameCallback((_, metadata) => {
        this.#wait();
        this.#picture(metadata);
      });
    }

    #picture(metadata) {
      const called = now();
      // A late callback may find a newer picture than the one it was called for, so a display time in the
      // past does not count: the probe never flatters.
      const due = performance.timeOrigin + metadata.expectedDisplayTime;
      const shown = due > called && due < called + 200 ? due : called;
      this.frames++;
      if (this.lastAt) this.gaps.push(called - this.lastAt);
      if (this.gaps.length > MAX_SAMPLES) this.gaps.shift();
      this.firstAt ||= called;
      this.lastAt = called;

      const read = this.#readPanels();
      if (!read.length) this.unreadable++;
      for (const { id, time } of read) {
        if (this.#lastTime.get(id) === time) {
          this.duplicates++;
          continue;
        }
        this.#lastTime.set(id, time);
        const whole = Math.floor(shown);
        const delay = ((((whole % CLOCK_MODULUS) >>> 0) - time) | 0) + (shown - whole); // |0: signed, past the wrap
        this.samples.push({ id, delay, at: called });
        if (this.samples.length > MAX_SAMPLES) this.samples.shift();
      }
    }

    /** {id, time} of every panel in the picture; searches where none is known, and now and then for new ones. */
    #readPanels() {
      let read = this.#panels.map((panel) => this.#readAt(panel)).filter(Boolean);
      const complete = read.length > 0 && read.length === this.#panels.length;
      if (++this.#sinceSearch < (complete ? 150 : 8)) return read; // a search costs some ten milliseconds
      this.#sinceSearch = 0;
      const found = this.#search().map((panel) => [panel, this.#readAt(panel)]).filter(([, value]) => value);
      if (found.length >= read.length) {
        this.#panels = found.map(([panel]) => panel);
        read = found.map(([, value]) => value);
      }
      return read;
    }

    /** Draws a part of the picture, in pixels of it, into the canvas and returns the pixels. */
    #pixels(x, y, w, h, width, height) {
      if (this.#canvas.width !== width || this.#canvas.height !== height) {
        this.#canvas.width = width;
        this.#canvas.height = height;
      }
      this.#context.drawImage(this.#video, x, y, w, h, 0, 0, width, height);
      return this.#context.getImageData(0, 0, width, height);
    }

    #readAt({ x, y, w, h }) {
      const { videoWidth, videoHeight } = this.#video;
      const width = 520; // 20 pixels a cell
      const height = Math.max(16, Math.round((width * h * videoHeight) / (w * videoWidth)));
      return readPanel(this.#pixels(x * videoWidth, y * videoHeight, w * videoWidth, h * videoHeight, width, height));
    }

    #search() {
      const { videoWidth, videoHeight } = this.#video;
      if (!videoWidth) return [];
      const width = 1280; // scaled up, the edges of a small panel fall between pixels
      const height = Math.round((width * videoHeight) / videoWidth);
      const image = this.#pixels(0, 0, videoWidth, videoHeight, width, height);
      return findFrames(image).map(({ x, y, w, h }) => ({ x: x / width, y: y / height, w: w / width, h: h / height }));
    }

    /** What was measured since reset(), of the camera with this id, or of all; times in milliseconds. */
    summary(id = null) {
      const samples = this.samples.filter((sample) => id === null || sample.id === id);
      const delays = samples.map((sample) => sample.delay).sort((a, b) => a - b);
      const gaps = [...this.gaps].sort((a, b) => a - b);
      return {
        count: delays.length,
        min: round(delays[0]),
        p50: round(quantile(delays, 0.5)),
        p95: round(quantile(delays, 0.95)),
        p99: round(quantile(delays, 0.99)),
        max: round(delays[delays.length - 1]),
        fps: round(((this.frames - 1) * 1000) / (this.lastAt - this.firstAt)),
        frames: this.frames,
        unreadable: this.unreadable,
        duplicates: this.duplicates,
        maxGap: round(gaps[gaps.length - 1]),
        freezes: gaps.filter((gap) => gap > FREEZE_MS).length,
        size: `${this.#video.videoWidth}x${this.#video.videoHeight}`,
        ids: [...new Set(samples.map((sample) => sample.id))].sort((a, b) => a - b),
      };
    }
  }

  root.LatencyProbe = {
    camera,
    installCamera,
    encode,
    decode,
    /** Starts to read the panels in a <video>; returns a Reader. */
    read: (video) => new Reader(video),
  };
})(globalThis);
