// What the cases are written with: people who each are one client, and waiting for what they should see.
import * as sdk from '@100mslive/hms-video-store';

/** The most that an effect may take; a busy machine with one core is meant. */
const patience = 20_000;

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Waits until test returns something truthy, and returns it. */
export async function until(what, test, atMost = patience) {
  const end = performance.now() + atMost;
  for (;;) {
    let failure = '';
    try {
      const value = await test();
      if (value) return value;
    } catch (error) {
      failure = `: ${error}`;
    }
    if (performance.now() > end) throw new Error(`never within ${atMost} ms: ${what}${failure}`);
    await sleep(30);
  }
}

export function expect(what, condition) {
  if (!condition) throw new Error(`not so: ${what}`);
}

export const same = (what, got, want) =>
  expect(`${what}: ${JSON.stringify(got)}, want ${JSON.stringify(want)}`, JSON.stringify(got) === JSON.stringify(want));

/** The error that an action ends with. */
export async function refused(what, promise, ...codes) {
  const error = await Promise.resolve(promise).then(() => null, (e) => e);
  expect(`${what} is refused`, error);
  if (codes.length) expect(`${what} is refused with ${codes}: ${error.code} ${error.message} ${error.description}`, codes.includes(error.code));
  return error;
}

/** One client. */
export class Person {
  constructor(env, name, role) {
    Object.assign(this, { env, name, role, told: [], id: '', videos: [] });
    this.hms = new sdk.HMSReactiveStore();
    this.hms.triggerOnSubscribe();
    this.actions = this.hms.getActions();
    this.store = this.hms.getStore();
    this.hms.getNotifications().onNotification((n) => n && this.told.push(n));
  }

  get(selector) { return this.store.getState(selector); }
  until(what, test, atMost) { return until(`${this.name}: ${what}`, () => test(this), atMost); }

  /** The notification of a type that passes the test, of those since the case began. */
  heard(type, test = () => true, atMost = patience) {
    return until(`${this.name} hears ${type}; heard ${this.told.map((n) => n.type)}`,
      () => this.told.find((n) => n.type === type && test(n.data)), atMost);
  }
  forget() { this.told.length = 0; }

  async config(extra = {}) {
    const { authToken = await this.token(), ...rest } = extra;
    return { userName: this.name, authToken, initEndpoint: `${this.env.origin(this.name)}/#https://local`, ...rest };
  }
  token(userId) {
    return this.actions.getAuthTokenByRoomCode({ roomCode: this.env.codes[this.role], userId }, { endpoint: `${this.env.server}/v2/token` });
  }
  async join(extra) {
    await this.actions.join(await this.config(extra));
    await this.connected();
    return this;
  }
  async connected() {
    await this.until('is connected', () => this.get(sdk.selectIsConnectedToRoom));
    this.id = this.get(sdk.selectLocalPeerID);
  }
  async leave() {
    this.videos.forEach((video) => video.remove());
    if (this.get(sdk.selectRoomState) !== 'Disconnected') await this.actions.leave();
  }

  /** Somebody as this person knows them. */
  sees(other) { return this.get(sdk.selectPeerByID(other.id)); }
  /** Somebody's tracks as this person knows them. */
  audioOf(other) { return this.get(sdk.selectAudioTrackByPeerID(other.id)); }
  videoOf(other) { return this.get(sdk.selectVideoTrackByPeerID(other.id)); }
  async knows(...others) {
    for (const other of others) await this.until(`sees ${other.name}`, () => this.sees(other));
  }

  /** Shows a track, and waits until its pictures move. */
  async shows(trackId, frames = 5, atMost = patience) {
    const video = this.element();
    await this.actions.attachVideo(trackId, video);
    try {
      await this.moves(video, frames, atMost);
    } catch (error) {
      const { framesDecoded, bytesReceived } = this.receiver(trackId).receiver ? await this.inbound(trackId) : {};
      const asked = this.channel(trackId)?.sent.filter(({ params }) => params.track_id === trackId).map(({ params }) => params.max_spatial_layer);
      throw new Error(`${error.message} (${framesDecoded} decoded of ${bytesReceived} bytes, asked for ${asked}, track ${JSON.stringify(this.get(sdk.selectTrackByID(trackId)))})`);
    }
    return video;
  }
  element() {
    const video = document.createElement('video');
    Object.assign(video, { muted: true, autoplay: true, playsInline: true });
    video.style.cssText = 'width:240px;height:135px';
    document.body.append(video);
    this.videos.push(video);
    // Firefox does not count the pictures of a stream as those of a file.
    const count = (_, { presentedFrames }) => {
      video.presented = presentedFrames;
      video.requestVideoFrameCallback(count);
    };
    video.requestVideoFrameCallback(count);
    return video;
  }
  async moves(video, frames = 5, atMost = patience) {
    const before = pictures(video);
    await this.until('pictures move', () => pictures(video) >= before + frames && video.videoWidth > 0, atMost);
  }
  /** The connection that brings a track, and its receiver. */
  receiver(trackId) {
    const native = this.actions.getNativeTrackById(trackId);
    for (const connection of Wire.connections) {
      const receiver = connection.getReceivers().find(({ track }) => track === native);
      if (receiver) return { connection, receiver };
    }
    return {};
  }
  /** What arrived of a track so far: { framesDecoded, keyFramesDecoded, frameWidth, bytesReceived, … }. */
  async inbound(trackId) {
    const stats = await this.receiver(trackId).receiver.getStats();
    // There are no figures before the first packet: what is compared with them later must have a number.
    return { packetsReceived: 0, bytesReceived: 0, ...[...stats.values()].find(({ type }) => type === 'inbound-rtp') };
  }
  /** The server's data channel beside a track that is received. */
  channel(trackId) {
    const { connection } = this.receiver(trackId);
    return Wire.channels.find((channel) => channel.connection === connection);
  }

  get wire() { return Wire.frames(this.id); }
  /** What became of this person lately, to read after a failure. */
  digest() {
    const told = this.told.map(({ type, data }) => (type === 'ERROR' ? `ERROR ${data?.code} ${data?.message}` : type));
    const mic = this.actions.getNativeTrackById(this.get(sdk.selectLocalAudioTrackID));
    return `${this.get(sdk.selectRoomState)}; microphone ${mic && `${mic.readyState}${mic.muted ? ' muted' : ''}`}; told ${told.join(' ')}; socket: ${Wire.digest(this.id)}`;
  }
  socketURL() { return Wire.url(this.id); }
}

const pictures = (video) => Math.max(video.getVideoPlaybackQuality().totalVideoFrames, video.presented ?? 0);

/** A client of the protocol without an SDK: for what an SDK does not let one do. */
export class Raw {
  static async open(env, token, peer = crypto.randomUUID()) {
    const init = await (await fetch(`${env.server}/init?peer_id=${peer}`, { headers: { Authorization: `Bearer ${token}` } })).json();
    const url = new URL(init.endpoint);
    for (const [key, value] of Object.entries({ peer, token, protocol_version: '2.5', protocol_spec: '20250115' })) url.searchParams.set(key, value);
    const raw = new Raw();
    Object.assign(raw, { peer, socket: new WebSocket(url), frames: [] });
    raw.socket.onmessage = ({ data }) => raw.frames.push(JSON.parse(data));
    await until('the socket opens', () => raw.socket.readyState === 1);
    return raw;
  }
  notify(method, params) { this.socket.send(JSON.stringify({ method, params })); }
  /** The whole response. */
  request(method, params) {
    const id = crypto.randomUUID();
    this.socket.send(JSON.stringify({ method, params, id, jsonrpc: '2.0' }));
    return until(`an answer to ${method}`, () => this.frames.find((frame) => frame.id === id));
  }
  gets(method) { return until(`the server sends ${method}`, () => this.frames.find((frame) => frame.method === method)); }
  close() { this.socket.close(1000); }
}

export { sdk };
