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
 * The panel stands in the middle of the picture and takes half of its width, so that it survives a compositor
 * that crops 16:9 to anything down to a square. It is a magenta frame, which the reader searches for, around 4
 * rows of 14 black and white cells. The outer columns are references, white and black in turn from the top on the
 * left and the other way round on the right; they give the threshold, and refuse a box that is no panel. Between
 * them stand 48 bits, row by row, most significant first: camera id (8), epoch milliseconds modulo 2^32 (32),
 * CRC-8 of those five bytes. Only the luma of the middle of each cell is read: that survives VP8, VP9, AV1 and
 * H.264 down to 160x90, and scaling.
 */
(function (root) {
  'use strict';

  const COLUMNS = 14;
  const ROWS = 4;
  const PANEL_WIDTH = 1 / 2;     // of the picture's width
  const PANEL_HEIGHT = 3 / 8;    // of the picture's height
  const FRAME = 1 / 20;          // thickness of the magenta frame, of the panel's width
  const MIN_CONTRAST = 40;       // luma steps between the darkest white and the brightest black reference
  const FREEZE_MS = 250;         // a pause between two pictures that a person sees
  const MAX_SAMPLES = 20000;     // about ten minutes at 30 pictures a second
  const CLOCK_MODULUS = 2 ** 32; // the panel has 32 bits of milliseconds

  /**
   * Epoch milliseconds of the system's clock. Not performance.timeOrigin + performance.now(): each process takes its
   * origin at its own moment, and on a busy machine those are a tenth of a second wrong against each other.
   */
  const now = () => Date.now();

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

  /** Whether a cell of the reference columns is white; undefined for the others. */
  function reference(column, row) {
    if (column === 0) return row % 2 === 0;
    if (column === COLUMNS - 1) return row % 2 === 1;
  }

  /** Draws the panel into the middle of a width x height canvas. */
  function draw(context, width, height, id, time) {
    const bits = encode(id, time);
    const panel = { width: width * PANEL_WIDTH, height: height * PANEL_HEIGHT };
    const frame = panel.width * FRAME;
    const cell = { width: (panel.width - 2 * frame) / COLUMNS, height: (panel.height - 2 * frame) / ROWS };
    const x = (width - panel.width) / 2;
    const y = (height - panel.height) / 2;
    context.fillStyle = '#f0f';
    context.fillRect(x, y, panel.width, panel.height);
    for (let row = 0; row < ROWS; row++) {
      for (let column = 0; column < COLUMNS; column++) {
        // whole pixels: a blurred edge between two cells costs contrast after scaling down
        const left = Math.round(x + frame + column * cell.width);
        const right = Math.round(x + frame + (column + 1) * cell.width);
        const top = Math.round(y + frame + row * cell.height);
        const bottom = Math.round(y + frame + (row + 1) * cell.height);
        const white = reference(column, row) ?? bits[row * (COLUMNS - 2) + column - 1] === 1;
        context.fillStyle = white ? '#fff' : '#000';
        context.fillRect(left, top, right - left, bottom - top);
      }
    }
  }

  /** Mean luma of the middle of one cell of the panel that fills the image. */
  function cellLuma({ data, width, height }, column, row) {
    const frame = width * FRAME;
    const cell = { width: (width - 2 * frame) / COLUMNS, height: (height - 2 * frame) / ROWS };
    const left = Math.floor(frame + (column + 0.3) * cell.width);
    const right = Math.min(width - 1, frame + (column + 0.7) * cell.width);
    const top = Math.floor(frame + (row + 0.3) * cell.height);
    const bottom = Math.min(height - 1, frame + (row + 0.7) * cell.height);
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
    const white = [];
    const black = [];
    const cells = [];
    for (let row = 0; row < ROWS; row++) {
      for (let column = 0; column < COLUMNS; column++) {
        const luma = cellLuma(image, column, row);
        const isWhite = reference(column, row);
        if (isWhite === undefined) cells.push(luma);
        else (isWhite ? white : black).push(luma);
      }
    }
    const darkest = Math.min(...white);
    const brightest = Math.max(...black);
    if (darkest - brightest < MIN_CONTRAST) return null;
    const threshold = (darkest + brightest) / 2;
    return decode(cells.map((luma) => (luma > threshold ? 1 : 0)));
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
      context.fillStyle = `hsl(${(n * 2) % 360} 40% 35%)`;
      context.fillRect(0, 0, width, height);
      context.fillStyle = '#fff'; // something moves, as before a real camera
      context.fillRect(((n * width) / 90) % width, height * 0.88, width / 20, height * 0.08);
      context.font = `${Math.round(height / 12)}px monospace`;
      context.textAlign = 'center';
      const time = now() - lateMs; // the clock is read last, right before the panel
      context.fillText(`#${id} ${new Date(time).toISOString().slice(11, 23)}`, width / 2, height * 0.8);
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
    #grabbed = 0;          // when the last pixels were taken out of the video
    #callback = 0;

    constructor(video) {
      this.#video = video;
      this.reset();
      this.#wait();
    }

    /** Drops what was measured so far; where the panels are stays known. */
    reset() {
      this.samples = []; // {id, delay, at}, milliseconds; share: of the picture's width that the panel has
      this.gaps = [];    // between two pictures, milliseconds
      this.frames = 0;
      this.unreadable = 0;
      this.duplicates = 0;
      this.firstAt = 0;
      this.lastAt = 0;
    }

    /** What the <video> does, for a person who looks for the reason of a failure. */
    state() {
      const { currentTime, paused, readyState, buffered, isConnected } = this.#video;
      const ranges = Array.from({ length: buffered.length }, (_, i) => `${buffered.start(i).toFixed(2)} to ${buffered.end(i).toFixed(2)}`);
      return `at ${currentTime.toFixed(2)}, paused ${paused}, ready ${readyState}, buffered ${ranges.join(', ')}, in the page ${isConnected}`;
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
      const due = called + metadata.expectedDisplayTime - performance.now();
      this.frames++;
      if (this.lastAt) this.gaps.push(called - this.lastAt);
      if (this.gaps.length > MAX_SAMPLES) this.gaps.shift();
      this.firstAt ||= called;
      this.lastAt = called;

      const read = this.#readPanels();
      if (!read.length) this.unreadable++;
      for (const { id, time, grabbed, share } of read) {
        if (this.#lastTime.get(id) === time) {
          this.duplicates++;
          continue;
        }
        this.#lastTime.set(id, time);
        // A late callback finds a newer picture than the one it was called for, so a display time in the past does
        // not count, and neither does the time of the call: the probe never flatters.
        const shown = Math.round(due > grabbed && due < grabbed + 200 ? due : grabbed);
        const delay = ((shown % CLOCK_MODULUS) >>> 0) - time | 0; // signed, past the wrap
        this.samples.push({ id, delay, at: called, share });
        if (this.samples.length > MAX_SAMPLES) this.samples.shift();
      }
    }

    /** {id, time, grabbed} of every panel in the picture; searches where none is known, and now and then for new ones. */
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
      this.#grabbed = now();
      return this.#context.getImageData(0, 0, width, height);
    }

    #readAt({ x, y, w, h }) {
      const { videoWidth, videoHeight } = this.#video;
      const width = 320; // about 20 pixels a cell
      const height = Math.max(16, Math.round((width * h * videoHeight) / (w * videoWidth)));
      const panel = readPanel(this.#pixels(x * videoWidth, y * videoHeight, w * videoWidth, h * videoHeight, width, height));
      return panel && { ...panel, share: w, grabbed: this.#grabbed };
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
