// A client made of the unmodified 100ms SDK: what its user's app would do, as functions of the global SDK.
import {
  HMSReactiveStore, selectHLSState, selectHMSMessages, selectIsConnectedToRoom, selectIsLargeRoom, selectLocalAudioTrackID,
  selectLocalPeer, selectLocalVideoTrackID, selectPeerCount, selectPeers, selectPolls, selectRoleChangeRequest, selectSessionStore,
  selectVideoTrackByPeerID,
} from '@100mslive/hms-video-store';

const hms = new HMSReactiveStore();
hms.triggerOnSubscribe();
const actions = hms.getActions();
const store = hms.getStore();

const errors = [];
hms.getNotifications().onNotification(({ type, data }) => {
  if (type === 'ERROR') errors.push(`${data.code} ${data.action}: ${data.message} ${data.description}`);
});

const peer = (name) => store.getState(selectPeers).find((peer) => peer.name === name);

globalThis.SDK = {
  errors: () => errors,

  /** Enters by a room code of a server without TLS: the SDK wants to see https:// somewhere in the address. */
  async join(origin, roomCode, userName) {
    const authToken = await actions.getAuthTokenByRoomCode({ roomCode }, { endpoint: `${origin}/v2/token` });
    await actions.join({ authToken, userName, initEndpoint: `${origin}/#https://local` });
  },
  /** Enters by a token. */
  enter: (origin, authToken, userName) => actions.join({ authToken, userName, initEndpoint: `${origin}/#https://local` }),
  connected: () => store.getState(selectIsConnectedToRoom),
  leave: () => actions.leave(),
  raiseHand: () => actions.raiseLocalPeerHand(),
  lowerHand: () => actions.lowerLocalPeerHand(),
  role: () => store.getState(selectLocalPeer)?.roleName,
  peer: (name) => {
    const found = peer(name);
    return found && { role: found.roleName, hand: Boolean(found.isHandRaised) };
  },

  /** Shows somebody's camera in a <video> with their name as its id. */
  async show(name) {
    const video = document.getElementById(name) ?? document.createElement('video');
    Object.assign(video, { id: name, muted: true, autoplay: true, playsInline: true });
    document.body.append(video);
    await actions.attachVideo(store.getState(selectVideoTrackByPeerID(peer(name).id)).id, video);
  },
  hasVideo: (name) => Boolean(peer(name) && store.getState(selectVideoTrackByPeerID(peer(name).id))),

  say: (text) => actions.sendBroadcastMessage(text),
  messages: () => store.getState(selectHMSMessages).map((message) => `${message.senderName}: ${message.message}`),

  changeRole: (name, role) => actions.changeRoleOfPeer(peer(name).id, role, true),
  roleRequest: () => store.getState(selectRoleChangeRequest)?.role?.name,
  publishes: () => Boolean(store.getState(selectLocalAudioTrackID) && store.getState(selectLocalVideoTrackID)),
  /** The SDK publishes what a promoted person may, but muted. */
  async unmute() {
    await actions.setLocalVideoEnabled(true);
    await actions.setLocalAudioEnabled(true);
  },
  acceptRole: () => actions.acceptChangeRole(store.getState(selectRoleChangeRequest)),

  /** Shared values of the session. */
  set: (key, value) => actions.sessionStore.set(key, value),
  observe: (...keys) => actions.sessionStore.observe(keys),
  value: (key) => store.getState(selectSessionStore(key)),

  /** A quiz: Paris is right, and so are 2 and 3. */
  async quiz(id) {
    await actions.interactivityCenter.createPoll({ id, title: 'Quiz', type: 'quiz', rolesThatCanVote: [], rolesThatCanViewResponses: [] });
    await actions.interactivityCenter.addQuestionsToPoll(id, [
      { text: 'Capital?', type: 'single-choice', weight: 10, options: [{ text: 'Rome' }, { text: 'Paris', isCorrectAnswer: true }] },
      { text: 'Primes?', type: 'multiple-choice', skippable: true,
        options: [{ text: '1' }, { text: '2', isCorrectAnswer: true }, { text: '3', isCorrectAnswer: true }] },
    ]);
    await actions.interactivityCenter.startPoll(id);
  },
  vote: (id, option, options) => actions.interactivityCenter.addResponsesToPoll(id, [
    { questionIndex: 1, option, duration: 100 },
    options ? { questionIndex: 2, options, duration: 200 } : { questionIndex: 2, skipped: true },
  ]),
  stopPoll: (id) => actions.interactivityCenter.stopPoll(id),
  poll(id) {
    const poll = store.getState(selectPolls).find((poll) => poll.id === id);
    return poll && {
      state: poll.state, questions: poll.questions?.length ?? 0, users: poll.result?.totalUsers ?? 0,
      votes: poll.questions?.map((q) => q.options?.map((o) => o.voteCount ?? 0)),
      mine: poll.questions?.map((q) => q.responses?.some((r) => r.peer?.peerid === store.getState(selectLocalPeer).id) ?? false),
    };
  },
  async leaderboard(id) {
    const { entries, summary, hasNext } = await actions.interactivityCenter.fetchLeaderboard(id, 0, 10);
    return { names: entries.map((e) => `${e.position} ${e.peer.username} ${e.score}`), summary, hasNext };
  },

  /** Looking for people who may not be listed. */
  async everybody(role, limit) {
    const iterator = actions.getPeerListIterator({ role, limit });
    const found = [];
    do found.push(...(await iterator.next())); while (iterator.hasNext());
    return found.map((peer) => peer.name);
  },
  named: async (query) => (await actions.findPeerByName({ query })).peers.map((peer) => peer.name),
  listed: () => store.getState(selectPeers).map((peer) => peer.name),
  count: () => store.getState(selectPeerCount),
  large: () => Boolean(store.getState(selectIsLargeRoom)),

  goLive: () => actions.startHLSStreaming(),
  endLive: () => actions.stopHLSStreaming(),
  live: () => {
    const { running, variants } = store.getState(selectHLSState);
    return { running: Boolean(running), url: variants?.[0]?.url ?? '' };
  },
};
