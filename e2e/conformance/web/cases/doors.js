// Coming in and going out.
import { Raw, expect, refused, same, sdk, until } from '../kit.js';

const init = (env, token, method = 'GET') => fetch(`${env.server}/init?peer_id=${crypto.randomUUID()}`, {
  method, headers: token ? { Authorization: `Bearer ${token}` } : {},
});

export const doors = {
  name: 'doors',
  people: { ann: { role: 'host' }, bob: { role: 'guest' } },
  cases: [
    ['init: OPTIONS and GET answer with CORS; a bad token is a 401 in JSON', async ({ env, ann }) => {
      // This page has another origin than the server: without CORS, and a preflight for the header, nothing arrives.
      const good = await (await init(env, await ann.token())).json();
      expect('the address of the socket', /^wss?:$/.test(new URL(good.endpoint).protocol));
      expect('config', typeof good.config === 'object' && Array.isArray(good.config.enabledFlags));
      expect('ice servers', Array.isArray(good.rtcConfiguration?.ice_servers ?? []));
      const claims = (role) => btoa(JSON.stringify({ access_key: 'x', room_id: 'x', role, type: 'app' })).replaceAll('=', '');
      for (const token of ['nonsense', `${btoa('{"alg":"HS256"}')}.${claims('host')}.AAAA`]) {
        const bad = await init(env, token);
        same('status', bad.status, 401);
        const body = await bad.json();
        expect(`code and message: ${JSON.stringify(body)}`, body.code === 401 && body.message);
      }
      const preflight = await init(env, undefined, 'OPTIONS');
      expect('OPTIONS', preflight.ok);
    }],

    ['getAuthTokenByRoomCode', async ({ env, ann }) => {
      const token = await ann.token('user-17');
      const payload = token.split('.')[1];
      expect('a payload that atob reads', !/[-_]/.test(payload));
      const claims = JSON.parse(atob(payload));
      same('claims', [claims.room_id, claims.role, claims.user_id], [env.room, 'host', 'user-17']);
      await refused('an unknown code', ann.actions.getAuthTokenByRoomCode({ roomCode: 'aaa-bbbb-ccc' }, { endpoint: `${env.server}/v2/token` }), 404);
    }],

    ['preview', async ({ ann, stranger }) => {
      const cid = stranger('Cid', 'guest');
      await cid.actions.preview(await cid.config());
      await cid.until('is in preview', () => cid.get(sdk.selectIsInPreview));
      await cid.until('has a picture', () => cid.get(sdk.selectLocalVideoTrackID) && cid.get(sdk.selectLocalAudioTrackID));
      same('role', cid.get(sdk.selectLocalPeerRoleName), 'guest');
      same('roles are known', cid.get(sdk.selectAvailableRoleNames).sort(), ['gallery', 'guest', 'host', 'small', 'voice', 'watcher']);
      expect('a picture before joining', await cid.shows(cid.get(sdk.selectLocalVideoTrackID), 2));
      expect('not announced', ann.get(sdk.selectRemotePeers).every(({ name }) => name !== 'Cid'));
      const id = cid.get(sdk.selectLocalPeerID);
      await cid.join();
      same('the peer of the preview', cid.id, id);
      same('one socket', cid.wire.filter((frame) => frame.open).length, 1);
      await ann.heard('PEER_JOINED', ({ id }) => id === cid.id);
    }],

    ['join', async ({ ann, bob, enter }) => {
      const cid = await enter('Cid', 'guest', { metaData: '{"team":"red"}', settings: { isAudioMuted: true, isVideoMuted: false } });
      await cid.knows(ann, bob);
      const joined = await ann.heard('PEER_JOINED', ({ id }) => id === cid.id);
      same('as others see it', [joined.data.name, joined.data.roleName, joined.data.metadata], ['Cid', 'guest', '{"team":"red"}']);
      await ann.until('has the tracks', () => ann.videoOf(cid) && ann.audioOf(cid));
      expect('muted as asked', !ann.get(sdk.selectIsPeerAudioEnabled(cid.id)) && ann.get(sdk.selectIsPeerVideoEnabled(cid.id)));
      await ann.shows(ann.videoOf(cid).id);
      expect('a session', cid.get(sdk.selectSessionId) === ann.get(sdk.selectSessionId) && cid.get(sdk.selectSessionId));
      expect('when it began', cid.get(sdk.selectRoomStartTime) instanceof Date);
      await cid.until('is counted', () => cid.get(sdk.selectPeerCount) === 3);
      await cid.actions.join(await cid.config()).catch(() => {}); // ignored, or an error
      same('one join', cid.wire.filter(({ out, method }) => out && method === 'join').length, 1);
      expect('still in', cid.get(sdk.selectIsConnectedToRoom));
    }],

    ['leave', async ({ ann, enter }) => {
      const cid = await enter('Cid', 'guest');
      await ann.until('has the tracks', () => ann.videoOf(cid) && ann.audioOf(cid));
      const { id } = cid;
      await cid.actions.leave();
      await ann.heard('PEER_LEFT', (peer) => peer.id === id);
      await ann.heard('TRACK_REMOVED', (track) => track.peerId === id);
      await cid.until('is out', () => cid.get(sdk.selectRoomState) === 'Disconnected' && cid.get(sdk.selectPeers).length === 0);
      await cid.join();
      expect('somebody new', cid.id !== id);
      await ann.knows(cid);
    }],

    ['policy: the first thing after each opening of the socket, with the current role', async ({ ann, enter }) => {
      const vic = await enter('Vic', 'watcher');
      await ann.knows(vic);
      const policies = () => vic.wire.flatMap((frame, i, all) => (frame.open ? [all.slice(i).find((next) => next.frame && !next.out)] : []));
      same('first', policies().map(({ method }) => method), ['on-policy-change']);
      await ann.actions.changeRoleOfPeer(vic.id, 'gallery', true);
      await vic.until('the new role', () => vic.get(sdk.selectLocalPeerRoleName) === 'gallery');
      // A second socket of the peer takes over from the first, which the SDK then opens anew.
      const raw = await Raw.open(vic.env, new URL(vic.socketURL()).searchParams.get('token'), vic.id);
      await raw.gets('on-policy-change');
      same('first again', raw.frames[0].method, 'on-policy-change');
      same('the current role', raw.frames[0].params.name, 'gallery');
      raw.close();
      await vic.until('the SDK is back', () => policies().length >= 2 && policies().every(Boolean) && vic.get(sdk.selectRoomState) === 'Connected');
      expect('first each time', policies().every(({ method }) => method === 'on-policy-change'));
      same('still the new role', vic.get(sdk.selectLocalPeerRoleName), 'gallery');
    }],

    ['ping and unknown requests are answered, results never falsy', async ({ env, ann }) => {
      await ann.until('a ping is answered', () => {
        const ping = ann.wire.find(({ out, method }) => out && method === 'ping');
        return ping && ann.wire.some(({ out, id, frame }) => !out && id === ping.id && frame.result);
      });
      const raw = await Raw.open(env, await ann.token());
      const unknown = await raw.request('no-such-method', {});
      expect('an error or a result', unknown.error?.code || unknown.result);
      for (const [method, params] of [['ping', { timestamp: 1 }], ['get-metadata', { key: 'nothing' }], ['peer-update', { name: 'R' }], ['join', { name: 'R', data: '' }]]) {
        const answer = await raw.request(method, params);
        expect(`${method}: ${JSON.stringify(answer)}`, answer.error?.code || answer.result);
      }
      raw.notify('leave', { client_reason: 'user request' });
      raw.close();
    }],

    ['join with and without an offer; the answer has the data channel', async ({ ann, enter }) => {
      const vic = await enter('Vic', 'watcher');
      const gil = await enter('Gil', 'gallery');
      const joined = (person) => {
        const request = person.wire.find(({ out, method }) => out && method === 'join');
        return [request.frame.params, person.wire.find(({ out, id }) => !out && id === request.id).frame.result];
      };
      const [asked, answered] = joined(vic);
      expect('an offer of one section', asked.offer.sdp.match(/^m=/gm).length === 1 && asked.offer.sdp.includes('m=application'));
      expect('answered', answered.type === 'answer' && answered.sdp.includes('m=application'));
      const [without, result] = joined(gil);
      expect('no offer', without.offer === undefined && result && !result.sdp);
      expect('no connection', !gil.wire.some(({ method }) => method === 'offer' || method === 'trickle'));
      await ann.knows(vic, gil);
      await gil.knows(ann, vic);
    }],

    ['peer-list: with the room, without oneself, realtime', async ({ ann, bob, enter }) => {
      const cid = await enter('Cid', 'guest');
      const { params } = cid.wire.find(({ method }) => method === 'peer-list').frame;
      same('peers', Object.keys(params.peers).sort(), [ann.id, bob.id].sort());
      expect('realtime', Object.values(params.peers).every(({ realtime }) => realtime));
      expect('with their tracks', Object.keys(params.peers[ann.id].tracks).length === 2);
      expect('the room', params.room && params.room.session_id === ann.get(sdk.selectSessionId));
    }],

    ['trickle in both directions for both connections', async ({ ann, bob, enter }) => {
      const cid = await enter('Cid', 'guest');
      await cid.until('sees Ann', () => cid.videoOf(ann));
      const sent = (out, target) => cid.wire.some((f) => f.method === 'trickle' && f.out === out && f.frame.params.target === target);
      const inSDP = (type) => cid.wire.some(({ out, frame, method }) => {
        const sdp = out ? '' : type === 0 ? frame?.result?.sdp : method === 'offer' ? frame.params.sdp : '';
        return sdp?.includes('a=candidate:');
      });
      await cid.until('candidates of the client', () => sent(true, 0) && sent(true, 1));
      // The server may put its candidates into the description instead, as one that knows them all does.
      await cid.until('candidates of the server', () => (sent(false, 0) || inSDP(0)) && (sent(false, 1) || inSDP(1)));
      await cid.shows(cid.videoOf(ann).id);
      await bob.until('has Cid', () => bob.videoOf(cid));
      await bob.shows(bob.videoOf(cid).id);
    }],

    ['submitSessionFeedback', async ({ env, stranger }) => {
      const cid = await stranger('Cid', 'gallery').join();
      await cid.actions.leave();
      await cid.actions.submitSessionFeedback({ question: 'How was it?', rating: 5, min_rating: 1, max_rating: 5 }, env.server);
    }],

    ['setLogLevel, setFrameworkInfo, enableBeamSpeakerLabelsLogging', async ({ ann }) => {
      ann.actions.setLogLevel(sdk.HMSLogLevel.WARN);
      ann.actions.setFrameworkInfo({ type: 'js', version: '1', sdkVersion: '1' });
      await ann.actions.enableBeamSpeakerLabelsLogging();
      await until('nothing is broken', () => ann.get(sdk.selectIsConnectedToRoom));
    }],
  ],
};
