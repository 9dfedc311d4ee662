import assert from 'node:assert/strict';
import test from 'node:test';
import * as sdk from '../selectors.js';
import { initialState } from '../store.js';

const track = (id, type, more = {}) => ({ id, type, source: 'regular', enabled: true, ...more });
const role = (name, allowed, sees) => ({
  name, priority: 1, publishParams: { allowed }, subscribeParams: { subscribeToRoles: sees }, permissions: { endRoom: name === 'host' },
});
const peer = (id, more) => ({ id, name: id, isLocal: false, auxiliaryTracks: [], isHandRaised: false, type: 'regular', ...more });

const empty = initialState();
const state = {
  ...empty,
  room: { ...empty.room, id: 'r', peers: ['me', 'bo', 'gone'], localPeer: 'me', roomState: 'Connected', isConnected: true, peerCount: 7 },
  peers: {
    me: peer('me', { isLocal: true, roleName: 'host', audioTrack: 'a1', videoTrack: 'v1' }),
    bo: peer('bo', { roleName: 'viewer', isHandRaised: true, metadata: '{"k":1}', audioTrack: 'a2', auxiliaryTracks: ['s2', 'sa2', 'lost'] }),
  },
  tracks: {
    a1: track('a1', 'audio'), v1: track('v1', 'video', { enabled: false }), a2: track('a2', 'audio', { enabled: false }),
    s2: track('s2', 'video', { source: 'screen', degraded: true }), sa2: track('sa2', 'audio', { source: 'screen' }),
  },
  speakers: { a1: { peerID: 'me', trackID: 'a1', audioLevel: 10 }, a2: { peerID: 'bo', trackID: 'a2', audioLevel: 60 } },
  roles: { host: role('host', ['audio', 'video'], ['host']), viewer: role('viewer', [], []) },
  roleChangeRequests: [{ requestedBy: 'bo', roleName: 'viewer', token: 't' }],
  messages: {
    allIDs: ['1', '2', '3'],
    byID: { 1: { id: '1', read: true }, 2: { id: '2', sender: 'bo', recipientPeer: 'me' }, 3: { id: '3', recipientRoles: ['host'] } },
  },
};

const cases = {
  peers: [sdk.selectPeers, ['me', 'bo']],
  remote: [sdk.selectRemotePeers, ['bo']],
  local: [sdk.selectLocalPeer, 'me'],
  count: [sdk.selectPeerCount, 7],
  'by id': [sdk.selectPeerByID('bo'), 'bo'],
  'by no id': [sdk.selectPeerByID(undefined), null],
  metadata: [sdk.selectPeerMetadata('bo'), { k: 1 }],
  'no metadata': [sdk.selectPeerMetadata('me'), {}],
  hand: [sdk.selectHasPeerHandRaised('bo'), true],
  'no hand': [sdk.selectHasPeerHandRaised('zz'), false],
  camera: [sdk.selectVideoTrackByPeerID('me'), 'v1'],
  'no camera': [sdk.selectCameraStreamByPeerID('bo'), undefined],
  microphone: [sdk.selectAudioTrackByPeerID('bo'), 'a2'],
  screen: [sdk.selectScreenShareByPeerID('bo'), 's2'],
  'sound of the screen': [sdk.selectScreenShareAudioByPeerID('bo'), 'sa2'],
  auxiliary: [sdk.selectAuxiliaryTracksByPeerID('bo'), ['s2', 'sa2']],
  sharing: [sdk.selectPeersScreenSharing, ['bo']],
  'not sharing': [sdk.selectIsLocalScreenShared, false],
  'local sound': [sdk.selectIsLocalAudioEnabled, true],
  'local video': [sdk.selectIsLocalVideoEnabled, false],
  'remote sound': [sdk.selectIsPeerAudioEnabled('bo'), false],
  degraded: [sdk.selectDegradedTracks, ['s2']],
  loudest: [sdk.selectDominantSpeaker, 'bo'],
  level: [sdk.selectPeerAudioByID('me'), 10],
  'level of nobody': [sdk.selectPeerAudioByID('zz'), 0],
  role: [sdk.selectLocalPeerRoleName, 'host'],
  roles: [sdk.selectAvailableRoleNames, ['host', 'viewer']],
  permissions: [sdk.selectPermissions, { endRoom: true }],
  publish: [sdk.selectIsAllowedToPublish, { audio: true, video: true, screen: false }],
  subscribe: [sdk.selectIsAllowedToSubscribe, true],
  request: [(s) => sdk.selectRoleChangeRequest(s)?.token, 't'],
  unread: [sdk.selectUnreadHMSMessagesCount, 2],
  broadcasts: [sdk.selectBroadcastMessages, ['1']],
  private: [sdk.selectMessagesByPeerID('bo'), ['2']],
  'of a role': [sdk.selectMessagesByRole('host'), ['3']],
  preview: [sdk.selectIsInPreview, false],
};

for (const [name, [select, want]] of Object.entries(cases)) {
  test(name, () => {
    const got = select(state);
    const plain = Array.isArray(got) ? got.map((entry) => entry.id ?? entry) : got?.id ?? got;
    assert.deepEqual(plain, want);
    if (name !== 'request') assert.equal(select(state), got, 'the same state gives the same object');
  });
}

test('nothing fails on the state of a client that is in no room', () => {
  for (const [name, select] of Object.entries(sdk)) {
    let selector = select;
    try {
      if (typeof select('x') === 'function') selector = select('x'); // one that is made for an id
    } catch {
      // One of the state: a string is none.
    }
    assert.doesNotThrow(() => selector(empty), name);
  }
});

test('a selector made anew for the same id is the same function', () => {
  assert.equal(sdk.selectPeerByID('x'), sdk.selectPeerByID('x'));
});
