// Runs before the SDK: what goes over its sockets and peer connections is written down for the cases.
//
//   Wire.frames(peerId)   [{ out, method, id, frame }] of all sockets of a peer, in order, what becomes of sockets as { dial }, { open }, { close: code }
//   Wire.url(peerId)      of its last socket
//   Wire.drop(peerId)     closes that socket
//   Wire.digest(peerId)   the newest of all that, to read: what, and how many seconds ago
//   Wire.connections      every RTCPeerConnection of the page
//   Wire.channels         every data channel that the server opened: { connection, label, sent, got }
(() => {
  const logs = new Map();
  const sockets = new Map();
  const connections = [];
  const channels = [];

  const Socket = globalThis.WebSocket;
  globalThis.WebSocket = class WebSocket extends Socket {
    #log;
    constructor(url, ...rest) {
      super(url, ...rest);
      const peer = new URL(url).searchParams.get('peer') ?? '';
      if (!logs.has(peer)) logs.set(peer, []);
      sockets.set(peer, this);
      this.#log = logs.get(peer);
      const log = this.#log;
      log.push({ dial: true, at: performance.now() });
      this.addEventListener('open', () => log.push({ open: true, at: performance.now() }));
      this.addEventListener('close', ({ code }) => log.push({ close: code, at: performance.now() }));
      this.addEventListener('message', ({ data }) => this.#note(false, data));
    }
    send(data) {
      this.#note(true, data);
      super.send(data);
    }
    #note(out, data) {
      const frame = JSON.parse(data);
      this.#log.push({ out, method: frame.method, id: frame.id, frame, at: performance.now() });
    }
  };

  const Connection = globalThis.RTCPeerConnection;
  globalThis.RTCPeerConnection = class RTCPeerConnection extends Connection {
    constructor(...args) {
      super(...args);
      connections.push(this);
      this.addEventListener('datachannel', ({ channel }) => {
        const log = { connection: this, label: channel.label, sent: [], got: [] };
        channels.push(log);
        const send = channel.send.bind(channel);
        channel.send = (data) => {
          log.sent.push(JSON.parse(data));
          send(data);
        };
        channel.addEventListener('message', ({ data }) => log.got.push(JSON.parse(data)));
      });
    }
  };

  // To cancel the echo of a dozen people is most of what these pages would cost. Some processing must be left: Chromium
  // now and then captures nothing for the second of two people in a page who want the bare sound of the same microphone.
  const media = navigator.mediaDevices;
  const capture = media.getUserMedia.bind(media);
  media.getUserMedia = ({ audio, ...rest }) => capture(audio ? {
    ...rest,
    audio: { deviceId: audio.deviceId, echoCancellation: false, noiseSuppression: false, autoGainControl: true },
  } : rest);

  globalThis.Wire = {
    frames: (peer) => logs.get(peer) ?? [],
    url: (peer) => sockets.get(peer).url,
    drop: (peer) => sockets.get(peer).close(),
    digest(peer, newest = 24) {
      const name = ({ dial, open, close, out, method }) =>
        (dial && 'dials') || (open && 'opened') || (close && `closed:${close}`) || `${out ? '>' : '<'}${method ?? 'answer'}`;
      const lines = this.frames(peer).slice(-newest).map((entry) => `${name(entry)} ${((performance.now() - entry.at) / 1000).toFixed(1)}`);
      return lines.join(', ');
    },
    connections,
    channels,
  };
})();
