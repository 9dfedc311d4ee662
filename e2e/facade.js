// What the SDK facade does in a page, beyond what the meeting pages use: two clients in one page, who are each
// other's company. Each scenario throws when something is not as it should be.
globalThis.Facade = (() => {
  let sdk;
  const clients = [];
  const until = async (what, test, timeout = 15000) => {
    const end = performance.now() + timeout;
    for (;;) {
      let value;
      try { value = await test(); } catch (error) { value = false; if (performance.now() > end) throw error; }
      if (value) return value;
      if (performance.now() > end) throw new Error(`never: ${what}`);
      await new Promise((again) => setTimeout(again, 50));
    }
  };
  const expect = (what, condition) => { if (!condition) throw new Error(what); };

  const sockets = [];
  const Native = globalThis.WebSocket;
  globalThis.WebSocket = class extends Native {
    constructor(...args) { super(...args); sockets.push(this); }
  };

  async function client(code, name, extra = {}) {
    sdk ??= await import('/sdk/amphi.js');
    const hms = new sdk.HMSReactiveStore();
    const c = { hms, store: hms.getStore(), actions: hms.getActions(), told: [], name };
    hms.getNotifications().onNotification((n) => c.told.push(n));
    c.token = await c.actions.getAuthTokenByRoomCode({ roomCode: code });
    c.config = { userName: name, authToken: c.token, ...extra };
    c.get = (selector) => c.store.getState(selector);
    c.heard = (type, test = () => true) => until(`${name} hears ${type}`, () => c.told.find((n) => n.type === type && test(n)));
    clients.push(c);
    return c;
  }
  const video = () => {
    const element = document.createElement('video');
    element.style.cssText = 'width:320px;height:180px;position:fixed;top:0;left:' + 330 * document.querySelectorAll('video').length + 'px;z-index:9999';
    document.body.append(element);
    return element;
  };
  const frames = (element) => element.getVideoPlaybackQuality().totalVideoFrames;
  const plays = async (what, element, more = 10) => {
    const before = frames(element);
    await until(what + ' plays', () => frames(element) >= before + more);
  };
  const other = (c, name) => c.get(sdk.selectRemotePeers).find((p) => p.name === name);

  return {
    async watch(host, viewer) {
      const ann = await client(host, 'Ann');
      const seen = [];
      ann.store.subscribe((state) => seen.push(state), (store) => store.room.roomState);
      await ann.actions.join(ann.config);
      expect('connected when join is settled', ann.get(sdk.selectIsConnectedToRoom));
      expect('states: ' + seen, seen.join() === 'Connecting,Connected');
      expect('publishes both', ann.get(sdk.selectIsLocalAudioEnabled) && ann.get(sdk.selectIsLocalVideoEnabled));
      const vic = await client(viewer, 'Vic');
      await vic.actions.join(vic.config);
      await until('they see each other', () => other(ann, 'Vic') && other(vic, 'Ann'));
      const track = await until('a track', () => vic.get(sdk.selectVideoTrackByPeerID(other(vic, 'Ann').id)));
      const tile = video();
      await vic.actions.attachVideo(track.id, tile);
      await plays('the remote video', tile);
      expect('the layer is known', vic.get(sdk.selectTrackByID(track.id)).layer !== 'none');
      expect('sound is played', [...document.querySelectorAll('audio')].some((a) => a.srcObject?.getAudioTracks().length));

      const own = video();
      await ann.actions.attachVideo(ann.get(sdk.selectLocalPeer).videoTrack, own);
      await plays('the own video', own, 3);

      const camera = ann.actions.getNativeTrackById(ann.get(sdk.selectLocalPeer).videoTrack);
      await ann.actions.setLocalVideoEnabled(false);
      expect('muted at once', !ann.get(sdk.selectIsLocalVideoEnabled));
      expect('the camera is closed', camera.readyState === 'ended');
      await until('mute is seen', () => !vic.get(sdk.selectIsPeerVideoEnabled(other(vic, 'Ann').id)));
      await ann.actions.setLocalVideoEnabled(true);
      await until('unmute is seen', () => vic.get(sdk.selectIsPeerVideoEnabled(other(vic, 'Ann').id)));
      await plays('the video after unmute', tile);
      await plays('the own video after unmute', own, 3);

      const devices = ann.get(sdk.selectDevices);
      expect('devices have names', devices.videoInput.length > 0 && devices.audioInput[0].label !== '');
      const chosen = devices.videoInput.at(-1).deviceId;
      await ann.actions.setVideoSettings({ deviceId: chosen });
      expect('the device is chosen', ann.get(sdk.selectLocalMediaSettings).videoInputDeviceId === chosen);
      await plays('the video of another camera', tile);
      await ann.actions.setAudioSettings({ deviceId: devices.audioInput.at(-1).deviceId });
      await vic.actions.setVolume(0);
      await vic.actions.setVolume(50);
      await vic.actions.detachVideo(track.id, tile);
      await until('the layer is given back', () => vic.get(sdk.selectTrackByID(track.id)).layer === 'none');

      await ann.actions.setScreenShareEnabled(true);
      const screen = await until('the screen', () => vic.get(sdk.selectScreenShareByPeerID(other(vic, 'Ann').id)));
      await vic.actions.attachVideo(screen.id, tile);
      await plays('the screen', tile, 2);
      expect('it is shared', ann.get(sdk.selectIsLocalScreenShared) && vic.get(sdk.selectPeersScreenSharing).length === 1);
      // The browser's own button ends it.
      const share = ann.actions.getNativeTrackById(ann.get(sdk.selectScreenShareByPeerID(ann.get(sdk.selectLocalPeerID))).id);
      share.stop();
      share.dispatchEvent(new Event('ended'));
      await until('the screen is gone', () => vic.get(sdk.selectPeersScreenSharing).length === 0 && !ann.get(sdk.selectIsLocalScreenShared));

      await vic.actions.sendBroadcastMessage('hello');
      await ann.heard('NEW_MESSAGE', (n) => n.data.message === 'hello' && n.data.senderName === 'Vic' && n.data.time instanceof Date);
      expect('own message', vic.get(sdk.selectHMSMessages).length === 1);
      await vic.actions.raiseLocalPeerHand();
      await until('a hand', () => ann.get(sdk.selectHasPeerHandRaised(other(ann, 'Vic').id)) && vic.get(sdk.selectLocalPeer).isHandRaised);
      try {
        await vic.actions.endRoom(false, 'no');
        throw new Error('a viewer ended the room');
      } catch (error) {
        expect('refusal: ' + error, error instanceof sdk.HMSError && error.code === 403);
      }
      expect('still there', vic.get(sdk.selectIsConnectedToRoom));

      // Shared values: who observes late is told the latest; the values are the application's, whatever they look like.
      await ann.actions.sessionStore.set('spotlight', { peer: 'Vic', time: 7 });
      expect('the setter has it', ann.get(sdk.selectSessionStore('spotlight')).peer === 'Vic');
      await vic.actions.sessionStore.observe(['spotlight', 'mood']);
      const spot = await until('the value', () => vic.get(sdk.selectSessionStore('spotlight')));
      expect('as it was set: ' + JSON.stringify(spot), spot.peer === 'Vic' && spot.time === 7);
      await ann.actions.sessionStore.set('mood', 'fine');
      await until('the change', () => vic.get(sdk.selectSessionStore('mood')) === 'fine');
      await vic.actions.sessionStore.unobserve('mood');
      await ann.actions.sessionStore.set('mood', 'bad');
      await ann.actions.sessionStore.set('spotlight');
      await until('the deletion', () => vic.get(sdk.selectSessionStore('spotlight')) === undefined);
      expect('not observed any more', vic.get(sdk.selectSessionStore('mood')) === 'fine');

      // A quiz.
      const center = ann.actions.interactivityCenter;
      await center.createPoll({ id: 'q1', title: 'Quiz', type: 'quiz', mode: 'peerID', questions: [
        { text: 'Capital?', type: 'single-choice', weight: 10, options: [{ text: 'Rome' }, { text: 'Paris', isCorrectAnswer: true }] },
        { text: 'Primes?', type: 'multiple-choice', skippable: true,
          options: [{ text: '1' }, { text: '2', isCorrectAnswer: true }, { text: '3', isCorrectAnswer: true }] },
      ] });
      await ann.heard('POLL_CREATED', (n) => n.data.id === 'q1' && n.data.state === 'created');
      const draft = ann.get(sdk.selectPollByID('q1'));
      expect('a draft: ' + JSON.stringify(draft), draft.questions.length === 2 && draft.questions[0].answer.option === 2 && draft.mode === 'peerID');
      await center.startPoll('q1');
      for (const c of [ann, vic]) {
        await c.heard('POLL_STARTED', (n) => n.data.title === 'Quiz' && n.data.startedAt instanceof Date);
        expect('started', c.get(sdk.selectPolls).length === 1 && c.get(sdk.selectPollByID('q1')).state === 'started');
      }
      expect('the answer is hidden', !vic.get(sdk.selectPollByID('q1')).questions[0].answer.option);
      await vic.actions.interactivityCenter.addResponsesToPoll('q1', [
        { questionIndex: 1, option: 2, duration: 10 }, { questionIndex: 2, skipped: true },
      ]);
      const mine = vic.get(sdk.selectPollByID('q1')).questions.map((q) => q.responses);
      expect('own answers: ' + JSON.stringify(mine), mine[0][0].option === 2 && mine[1][0].skipped && mine[0][0].peer.username === 'Vic');
      const votes = await until('the count', () => {
        const [q] = ann.get(sdk.selectPollByID('q1')).questions;
        return q.result?.totalResponses === 1 && q.options.map((o) => o.voteCount).join();
      });
      expect('votes: ' + votes, votes === '0,1' && ann.get(sdk.selectPollByID('q1')).result.totalUsers === 1);
      await center.getPollResponses(ann.get(sdk.selectPollByID('q1')), false);
      expect('all answers', ann.get(sdk.selectPollByID('q1')).questions[0].responses[0].peer.username === 'Vic');
      await center.stopPoll('q1');
      for (const c of [ann, vic]) await c.heard('POLL_STOPPED', (n) => n.data.state === 'stopped' && n.data.stoppedAt instanceof Date);
      const board = await center.fetchLeaderboard('q1', 0, 10);
      expect('leaderboard: ' + JSON.stringify(board), board.entries.length === 1 && board.entries[0].score === 10 && !board.hasNext
        && board.entries[0].peer.username === 'Vic' && board.summary.votedUsers === 1);
      const polls = await vic.actions.interactivityCenter.getPolls();
      expect('the answer is known now', polls[0].questions[0].answer.option === 2 && polls[0].questions[0].responses.length === 1);

      // Looking for people.
      const list = ann.actions.getPeerListIterator({ limit: 1 });
      const names = [];
      while (list.hasNext()) names.push(...(await list.next()).map((peer) => peer.name));
      expect('everybody: ' + names, names.join() === 'Ann,Vic' && list.getTotal() === 2);
      const found = await vic.actions.findPeerByName({ query: 'AN' });
      expect('by name', found.peers.length === 1 && found.peers[0].name === 'Ann');

      // Every socket is cut: both come back, and media never stopped.
      await vic.actions.attachVideo(track.id, tile);
      await plays('the video again', tile);
      sockets.forEach((socket) => socket.close());
      for (const c of [ann, vic]) {
        await c.heard('RECONNECTING');
        await c.heard('RECONNECTED');
        expect('connected again', c.get(sdk.selectRoomState) === 'Connected');
      }
      await plays('the video after the cut', tile);
      await ann.actions.sendBroadcastMessage('still here');
      await vic.heard('NEW_MESSAGE', (n) => n.data.message === 'still here');

      // A forced role: to the stage without a reload, muted until asked.
      await ann.actions.changeRoleOfPeer(other(ann, 'Vic').id, ann.get(sdk.selectLocalPeerRoleName), true);
      await vic.heard('ROLE_UPDATED', (n) => n.data.isLocal);
      expect('muted on the stage', !vic.get(sdk.selectIsLocalAudioEnabled) && !vic.get(sdk.selectIsLocalVideoEnabled));
      await vic.actions.setLocalVideoEnabled(true);
      await until('Vic is seen', () => ann.get(sdk.selectIsPeerVideoEnabled(other(ann, 'Vic').id)));
      const vicTile = video();
      await ann.actions.attachVideo(ann.get(sdk.selectVideoTrackByPeerID(other(ann, 'Vic').id)).id, vicTile);
      await plays('Vic on the stage', vicTile);
      await ann.actions.setRemoteTrackEnabled(ann.get(sdk.selectVideoTrackByPeerID(other(ann, 'Vic').id)).id, false);
      await vic.heard('CHANGE_TRACK_STATE_REQUEST', (n) => n.data.enabled === false && n.data.requestedBy.name === 'Ann');
      expect('Vic was muted', !vic.get(sdk.selectIsLocalVideoEnabled));

      await ann.actions.removePeer(other(ann, 'Vic').id, 'test');
      await vic.heard('REMOVED_FROM_ROOM', (n) => n.data.reason === 'test' && n.data.requestedBy.name === 'Ann');
      await until('Vic is out', () => vic.get(sdk.selectRoomState) === 'Disconnected' && !other(ann, 'Vic'));
      await ann.actions.leave();
      expect('left', ann.get(sdk.selectRoomState) === 'Disconnected' && ann.get(sdk.selectPeers).length === 0);
      expect('no audio elements are left', document.querySelectorAll('audio').length === 0);
      expect('errors: ' + JSON.stringify(ann.get(sdk.selectErrors)), ann.get(sdk.selectErrors).length === 0);

      await ann.actions.join(ann.config);
      expect('joined again', ann.get(sdk.selectIsConnectedToRoom) && ann.get(sdk.selectIsLocalVideoEnabled));
      await ann.actions.leave();
    },

    async trouble(host) {
      const devices = navigator.mediaDevices;
      const open = devices.getUserMedia.bind(devices);
      devices.getUserMedia = async (c) => {
        if (c.video) throw new DOMException('no', 'NotAllowedError');
        return open(c);
      };
      const ann = await client(host, 'Ann');
      await ann.actions.preview(ann.config);
      expect('preview', ann.get(sdk.selectIsInPreview) && ann.get(sdk.selectIsLocalAudioEnabled) && !ann.get(sdk.selectIsLocalVideoEnabled));
      const denied = await ann.heard('ERROR', (n) => n.data.code === 3001);
      expect('which device', denied.data.trackType === 'video' && !denied.data.isTerminal && denied.data.timestamp instanceof Date);
      await ann.actions.join(ann.config);
      expect('in without a camera', ann.get(sdk.selectIsConnectedToRoom) && !ann.get(sdk.selectIsLocalVideoEnabled));
      try {
        await ann.actions.setLocalVideoEnabled(true);
        throw new Error('a refused camera was opened');
      } catch (error) {
        expect('refusal: ' + error, error.code === 3001);
      }
      devices.getUserMedia = open;
      await ann.actions.setLocalVideoEnabled(true);
      expect('allowed later', ann.get(sdk.selectIsLocalVideoEnabled));

      // A browser that wants a click before sound.
      const play = HTMLMediaElement.prototype.play;
      HTMLMediaElement.prototype.play = function () {
        return this instanceof HTMLAudioElement ? Promise.reject(new DOMException('click', 'NotAllowedError')) : play.call(this);
      };
      const bob = await client(host, 'Bob');
      await bob.actions.join(bob.config);
      await ann.heard('ERROR', (n) => n.data.code === 3008);
      HTMLMediaElement.prototype.play = play;
      await ann.actions.unblockAudio();

      // The camera is pulled out.
      const camera = bob.actions.getNativeTrackById(bob.get(sdk.selectLocalPeer).videoTrack);
      camera.stop();
      camera.dispatchEvent(new Event('ended'));
      await until('the others know', () => !ann.get(sdk.selectIsPeerVideoEnabled(other(ann, 'Bob').id)));
      expect('and Bob too', !bob.get(sdk.selectIsLocalVideoEnabled));

      // Wrong use is an error, not the end.
      for (const wrong of [
        () => bob.actions.join(bob.config), () => bob.actions.changeRoleOfPeer('nobody', 'no-role', true),
        () => bob.actions.sendDirectMessage('x', 'nobody'), () => bob.actions.getAuthTokenByRoomCode({ roomCode: 'wrong' }),
        () => bob.actions.setPreferredLayer('x', 'enormous'), () => new sdk.HMSReactiveStore().getActions().join({ authToken: 'x', userName: 'y' }),
      ]) {
        const error = await wrong().then(() => null, (e) => e);
        expect('no error from ' + wrong, error instanceof sdk.HMSError && typeof error.code === 'number');
      }
      expect('Bob is still there', bob.get(sdk.selectIsConnectedToRoom));

      // The state cannot be changed from outside.
      const state = bob.get();
      expect('frozen', Object.isFrozen(state) && Object.isFrozen(state.room) && Object.isFrozen(bob.get(sdk.selectLocalPeer)));

      await bob.actions.endRoom(false, 'over');
      await ann.heard('ROOM_ENDED', (n) => n.data.roomEnded && n.data.reason === 'over');
      await until('everybody is out', () => [ann, bob].every((c) => c.get(sdk.selectRoomState) === 'Disconnected'));
      await bob.actions.submitSessionFeedback({ rating: 5, comment: 'fine' });
    },

    // What few applications use.
    async rare(host, gallery) {
      const ann = await client(host, 'Ann');
      expect('no debug info before a call', (() => { try { ann.actions.getDebugInfo(); } catch { return true; } })());
      await ann.actions.join(ann.config);
      const vic = await client(gallery, 'Vic');
      await vic.actions.join(vic.config);
      await until('they see each other', () => other(ann, 'Vic') && other(vic, 'Ann'));
      const debug = ann.actions.getDebugInfo();
      expect('debug info: ' + JSON.stringify(debug), debug.websocketURL.startsWith('ws') && debug.enabledFlags.length > 0);

      // A track of one's own.
      const canvas = document.createElement('canvas');
      canvas.width = 320; canvas.height = 180;
      const paint = setInterval(() => { const c = canvas.getContext('2d'); c.fillStyle = `hsl(${performance.now() / 10} 80% 50%)`; c.fillRect(0, 0, 320, 180); }, 50);
      const [own] = canvas.captureStream(20).getVideoTracks();
      await ann.actions.addTrack(own, 'videoplaylist');
      expect('it has its id', ann.get(sdk.selectLocalPeer).auxiliaryTracks[0] === own.id);
      expect('by its source', ann.get(sdk.selectPeerSharingVideoPlaylist)?.name === 'Ann');
      const bob = await client(host, 'Bob');
      await bob.actions.join(bob.config);
      const seen = await until('the own track', () => bob.get(sdk.selectVideoPlaylistVideoTrackByPeerID(other(bob, 'Ann').id)));
      const tile = video();
      await bob.actions.attachVideo(seen.id, tile);
      await plays('the own track', tile);

      // Statistics of both directions.
      const stats = bob.hms.getStats();
      expect('nothing yet', !bob.actions.hasActiveElements(stats));
      const mine = await until('figures', () => stats.getState(sdk.selectHMSStats.localVideoTrackStats));
      expect('sent: ' + JSON.stringify(mine), mine.bytesSent > 0 && mine.codec);
      await until('a bitrate received', () => stats.getState(sdk.selectHMSStats.trackStatsByID(seen.id))?.bitrate > 0);
      await until('both connections', () => stats.getState(sdk.selectHMSStats.publishBitrate) > 0 && stats.getState(sdk.selectHMSStats.subscribeBitrate) > 0);
      expect('how', stats.getState(sdk.selectHMSStats.publishConnectionType));
      expect('active', bob.actions.hasActiveElements(stats));

      await ann.actions.removeTrack(own.id);
      await until('it is gone', () => !bob.get(sdk.selectTrackByID(seen.id)) && ann.get(sdk.selectLocalPeer).auxiliaryTracks.length === 0);
      clearInterval(paint);

      // The mirror before the stage: what was previewed is what is published.
      await vic.actions.preview({ asRole: ann.get(sdk.selectLocalPeerRoleName), settings: { isAudioMuted: true } });
      const preview = vic.get().preview;
      expect('previewed: ' + JSON.stringify(preview), preview.videoTrack && vic.get(sdk.selectIsAllowedToPreviewMedia).video);
      await vic.actions.attachVideo(preview.videoTrack, tile);
      await plays('the mirror', tile, 3);
      await vic.actions.cancelMidCallPreview();
      expect('forgotten', !vic.get().preview && !vic.get(sdk.selectLocalPeer).videoTrack);
      await vic.actions.preview({ asRole: ann.get(sdk.selectLocalPeerRoleName) });
      const kept = vic.get().preview.videoTrack;
      await ann.actions.changeRoleOfPeer(other(ann, 'Vic').id, ann.get(sdk.selectLocalPeerRoleName), true);
      await until('Vic is seen', () => ann.get(sdk.selectVideoTrackByPeerID(other(ann, 'Vic').id))?.id === kept
        && ann.get(sdk.selectIsPeerVideoEnabled(other(ann, 'Vic').id)));

      // Values, own and shared.
      ann.actions.initAppData({ theme: 'dark', panels: { chat: true } });
      ann.actions.setAppData('panels', { people: true }, true);
      expect('own values', ann.get(sdk.selectAppData('theme')) === 'dark' && ann.get(sdk.selectAppDataByPath('panels', 'people')) === true
        && ann.get(sdk.selectAppDataByPath('panels', 'chat')) === true);
      await ann.actions.setSessionMetadata({ topic: 'bees' });
      await bob.actions.populateSessionMetadata();
      expect('metadata', bob.get(sdk.selectSessionMetadata).topic === 'bees');

      bob.actions.ignoreMessageTypes(['NOISE']);
      await ann.actions.sendBroadcastMessage('boom', 'NOISE');
      await ann.actions.sendBroadcastMessage('kept');
      await bob.heard('NEW_MESSAGE', (n) => n.data.message === 'boom' && n.data.ignored);
      await bob.heard('NEW_MESSAGE', (n) => n.data.message === 'kept');
      expect('told, not kept', bob.get(sdk.selectHMSMessages).length === 1 && bob.get(sdk.selectBroadcastMessagesUnreadCount) === 1);

      // What the server does not have is a clear refusal.
      for (const refused of [() => ann.actions.startTranscription({ mode: 'caption' }), () => ann.actions.interactivityCenter.whiteboard.open()]) {
        const error = await refused().then(() => null, (e) => e);
        expect('no refusal of ' + refused, error instanceof sdk.HMSError);
      }
      expect('still there', ann.get(sdk.selectIsConnectedToRoom));
      for (const c of [ann, bob, vic]) await c.actions.leave();
    },

    // The Go program panics: the call is over, and the next one has a new program.
    async panic(host) {
      let go;
      let Real;
      Object.defineProperty(globalThis, 'Go', {
        configurable: true, set(value) { Real = value; },
        get: () => Real && class extends Real { constructor() { super(); go = this; } },
      });
      const ann = await client(host, 'Ann');
      await ann.actions.join(ann.config);
      const before = go;
      go._pendingEvent = { id: 'no number' }; // syscall/js panics where nobody can recover
      try { go._resume(); } catch { /* it is gone */ }
      await ann.heard('ERROR', (n) => n.data.name === 'ClientExited' && n.data.isTerminal);
      expect('over: ' + ann.get(sdk.selectRoomState), ann.get(sdk.selectRoomState) === 'Failed' && !ann.get(sdk.selectIsConnectedToRoom));
      await ann.actions.join(ann.config);
      expect('a new program', go !== before && ann.get(sdk.selectIsConnectedToRoom));
      const tile = video();
      await ann.actions.attachVideo(ann.get(sdk.selectLocalPeer).videoTrack, tile);
      await plays('the own video', tile, 3);
      await ann.actions.leave();
    },
  };
})();
