// Who may do what to whom: roles, muting others, removing them, the end.
import { expect, refused, same, sdk } from '../kit.js';

const role = (person) => person.get(sdk.selectLocalPeerRoleName);

export const roles = {
  name: 'roles',
  people: { ann: { role: 'host' }, bob: { role: 'guest' }, vic: { role: 'watcher' }, gil: { role: 'gallery' } },
  cases: [
    ['setRemoteTrackEnabled', async ({ ann, bob, vic }) => {
      await ann.until('the track', () => ann.audioOf(bob));
      await ann.actions.setRemoteTrackEnabled(ann.audioOf(bob).id, false);
      await bob.heard('CHANGE_TRACK_STATE_REQUEST', ({ enabled, requestedBy }) => enabled === false && requestedBy.id === ann.id);
      await vic.until('muted', () => vic.audioOf(bob)?.enabled === false);
      bob.forget();
      await ann.actions.setRemoteTrackEnabled([ann.audioOf(bob).id], true);
      const asked = await bob.heard('CHANGE_TRACK_STATE_REQUEST', ({ enabled }) => enabled);
      expect('only asked', !bob.get(sdk.selectIsLocalAudioEnabled) && asked.data.track.id === bob.get(sdk.selectLocalAudioTrackID));
      await bob.actions.setLocalAudioEnabled(true);
      await vic.until('unmuted', () => vic.audioOf(bob).enabled);
      await refused('by who may not', vic.actions.setRemoteTrackEnabled(vic.audioOf(bob).id, false), 403);
    }],

    ['setRemoteTracksEnabled', async ({ ann, bob, vic }) => {
      await ann.actions.setRemoteTracksEnabled({ enabled: false, roles: ['guest'], type: 'audio', source: 'regular' });
      await bob.heard('CHANGE_MULTI_TRACK_STATE_REQUEST', ({ enabled, tracks }) => !enabled && tracks.map(({ type }) => type).join() === 'audio');
      await vic.until('muted', () => vic.audioOf(bob).enabled === false && vic.videoOf(bob).enabled);
      expect('not others', vic.audioOf(ann).enabled);
      bob.forget();
      await ann.actions.setRemoteTracksEnabled({ enabled: true });
      await bob.heard('CHANGE_MULTI_TRACK_STATE_REQUEST', ({ enabled }) => enabled);
      await bob.actions.setLocalAudioEnabled(true);
      await refused('by who may not', bob.actions.setRemoteTracksEnabled({ enabled: false }), 403);
    }],

    ['changeRole, changeRoleOfPeer', async ({ ann, bob, vic }) => {
      await ann.actions.changeRoleOfPeer(vic.id, 'gallery', true);
      await vic.heard('ROLE_UPDATED', ({ isLocal, roleName }) => isLocal && roleName === 'gallery');
      await bob.heard('ROLE_UPDATED', ({ id, roleName }) => id === vic.id && roleName === 'gallery');
      await vic.until('no tracks', () => !vic.videoOf(ann));
      await ann.actions.changeRole(vic.id, 'watcher', true);
      await vic.until('tracks again', () => role(vic) === 'watcher' && vic.videoOf(ann));
      await refused('by who may not', bob.actions.changeRoleOfPeer(vic.id, 'guest', true), 403);
      await refused('to no role', ann.actions.changeRoleOfPeer(vic.id, 'king', true));
    }],

    ['acceptChangeRole', async ({ ann, vic }) => {
      await ann.actions.changeRoleOfPeer(vic.id, 'guest', false);
      const request = await vic.until('the request', () => vic.get(sdk.selectRoleChangeRequest));
      same('what is asked', [request.role.name, request.requestedBy.id], ['guest', ann.id]);
      same('not changed yet', role(vic), 'watcher');
      await vic.actions.acceptChangeRole(request);
      await vic.until('changed', () => role(vic) === 'guest' && vic.get(sdk.selectLocalVideoTrackID));
      await ann.until('publishes', () => ann.videoOf(vic) && ann.sees(vic).roleName === 'guest');
      expect('muted at first', !ann.videoOf(vic).enabled && !ann.audioOf(vic)?.enabled);
      await vic.actions.setLocalVideoEnabled(true);
      await ann.shows(ann.videoOf(vic).id);
      await refused('the same token again', vic.actions.acceptChangeRole(request));
      await ann.actions.changeRoleOfPeer(vic.id, 'watcher', true);
      await ann.until('publishes no more', () => !ann.videoOf(vic));
      await vic.until('a watcher again', () => role(vic) === 'watcher');
    }],

    ['rejectChangeRole', async ({ ann, vic }) => {
      await ann.actions.changeRoleOfPeer(vic.id, 'guest', false);
      const request = await vic.until('the request', () => vic.get(sdk.selectRoleChangeRequest));
      vic.actions.rejectChangeRole(request);
      await vic.until('no request', () => !vic.get(sdk.selectRoleChangeRequest));
      same('not changed', role(vic), 'watcher');
      await ann.actions.changeRoleOfPeer(vic.id, 'gallery', false);
      await vic.until('asked again', () => vic.get(sdk.selectRoleChangeRequest)?.role.name === 'gallery');
      vic.actions.rejectChangeRole(vic.get(sdk.selectRoleChangeRequest));
    }],

    ['changeRoleOfPeersWithRoles', async ({ ann, bob, vic, gil }) => {
      await ann.actions.changeRoleOfPeersWithRoles(['watcher', 'gallery'], 'guest');
      for (const one of [vic, gil]) await one.heard('ROLE_UPDATED', ({ isLocal, roleName }) => isLocal && roleName === 'guest');
      await bob.until('all are guests', () => bob.get(sdk.selectPeersByRole('guest')).length === 3);
      await ann.actions.changeRoleOfPeer(gil.id, 'gallery', true);
      await ann.actions.changeRoleOfPeer(vic.id, 'watcher', true);
      await bob.until('as before', () => bob.get(sdk.selectPeersByRole('guest')).length === 1);
      await gil.until('as before', () => role(gil) === 'gallery');
    }],

    ['roles: both modes, policy before the update, subscriptions anew, promotion of a peer without WebRTC', async ({ ann, enter }) => {
      const hal = await enter('Hal', 'gallery');
      await ann.knows(hal);
      // forced: from no WebRTC to the stage
      await ann.actions.changeRoleOfPeer(hal.id, 'guest', true);
      await hal.until('sees the stage', () => role(hal) === 'guest' && hal.videoOf(ann));
      await hal.shows(hal.videoOf(ann).id);
      await ann.until('publishes', () => ann.videoOf(hal));
      await hal.until('has a picture', () => hal.get(sdk.selectLocalVideoTrackID));
      await hal.actions.setLocalVideoEnabled(true);
      await ann.shows(ann.videoOf(hal).id);
      // back, and asked
      await ann.actions.changeRoleOfPeer(hal.id, 'gallery', true);
      await ann.until('publishes no more', () => !ann.videoOf(hal));
      await hal.until('sees it no more', () => !hal.videoOf(ann));
      await ann.actions.changeRoleOfPeer(hal.id, 'watcher', false);
      await hal.actions.acceptChangeRole(await hal.until('asked', () => hal.get(sdk.selectRoleChangeRequest)));
      await hal.until('sees the stage again', () => hal.videoOf(ann));
      await hal.shows(hal.videoOf(ann).id);
      const order = hal.wire.filter(({ out, method, frame }) => !out
        && (method === 'on-policy-change' || method === 'on-peer-update' && frame.params.peer_id === hal.id));
      let policy;
      for (const { method, frame } of order) {
        if (method === 'on-policy-change') policy = frame.params.name;
        else same('the role of an update of oneself', frame.params.role, policy);
      }
      same('policies', order.filter(({ method }) => method === 'on-policy-change').map(({ frame }) => frame.params.name), ['gallery', 'guest', 'gallery', 'watcher']);
    }],
  ],
};

export const moderation = {
  name: 'moderation',
  people: { ann: { role: 'host' }, bob: { role: 'guest' } },
  cases: [
    ['removePeer', async ({ ann, bob, enter }) => {
      const cid = await enter('Cid', 'guest');
      await refused('by who may not', bob.actions.removePeer(cid.id, 'no'), 403);
      await ann.actions.removePeer(cid.id, 'spam');
      const { data } = await cid.heard('REMOVED_FROM_ROOM');
      same('why and by whom', [data.reason, data.requestedBy.name, data.roomEnded], ['spam', 'Ann', false]);
      await cid.until('is out', () => cid.get(sdk.selectRoomState) === 'Disconnected');
      await bob.heard('PEER_LEFT', ({ name }) => name === 'Cid');
    }],

    ['remove a peer, end the room: on-peer-leave-request', async ({ ann, enter }) => {
      const cid = await enter('Cid', 'gallery');
      const hal = await enter('Hal', 'host');
      await hal.actions.removePeer(cid.id, 'gone');
      await cid.heard('REMOVED_FROM_ROOM', ({ requestedBy }) => requestedBy.id === hal.id);
      const [request] = cid.wire.filter(({ method }) => method === 'on-peer-leave-request');
      same('the request', [request.frame.params.requested_by, request.frame.params.reason, request.frame.params.room_end], [hal.id, 'gone', false]);
      await ann.heard('PEER_LEFT', ({ id }) => id === cid.id);
      expect('no goodbye of who was removed', !cid.wire.some(({ out, method }) => out && method === 'leave'));
    }],

    ['endRoom', async ({ ann, bob, enter, stranger }) => {
      const cid = await enter('Cid', 'gallery');
      const late = stranger('Late', 'guest');
      const config = await late.config();
      await ann.actions.endRoom(true, 'over');
      for (const one of [bob, cid]) {
        const { data } = await one.heard('ROOM_ENDED');
        same('why', [data.reason, data.roomEnded], ['over', true]);
        await one.until('is out', () => one.get(sdk.selectRoomState) === 'Disconnected');
      }
      await ann.until('is out too', () => ann.get(sdk.selectRoomState) === 'Disconnected');
      await refused('a locked room', late.actions.join(config));
    }],
  ],
};
