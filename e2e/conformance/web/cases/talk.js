// Messages, names, hands, and looking for people.
import { expect, refused, same, sdk } from '../kit.js';

const message = (text) => ({ message }) => message === text;
const texts = (person) => person.get(sdk.selectHMSMessages).map(({ message }) => message);

export const talk = {
  name: 'talk',
  people: {
    ann: { role: 'host' }, bob: { role: 'guest', metaData: '{"a":1}' },
    vic: { role: 'watcher' }, gil: { role: 'gallery' },
  },
  cases: [
    ['sendMessage, sendBroadcastMessage', async ({ ann, bob, vic, gil }) => {
      ann.actions.sendMessage('hello');
      await ann.actions.sendBroadcastMessage('{"emoji":"🎉"}', 'EMOJI_REACTION');
      for (const one of [bob, vic, gil]) {
        const { data } = await one.heard('NEW_MESSAGE', message('hello'));
        same('hello', [data.senderName, data.sender, data.type, data.senderRole], ['Ann', ann.id, 'chat', 'host']);
        const emoji = await one.heard('NEW_MESSAGE', message('{"emoji":"🎉"}'));
        same('its type', emoji.data.type, 'EMOJI_REACTION');
      }
      await refused('an empty message', bob.actions.sendBroadcastMessage(' '));
    }],

    ['sendGroupMessage', async ({ ann, bob, vic, gil }) => {
      await ann.actions.sendGroupMessage('to some', ['guest', 'gallery']);
      for (const one of [bob, gil]) {
        const { data } = await one.heard('NEW_MESSAGE', message('to some'));
        same('the roles', data.recipientRoles, ['guest', 'gallery']);
      }
      await ann.actions.sendBroadcastMessage('after it');
      await vic.heard('NEW_MESSAGE', message('after it'));
      expect('not for others', !texts(vic).includes('to some'));
      await ann.until('it is found by role', () => ann.get(sdk.selectMessagesByRole('guest')).some(message('to some')));
    }],

    ['sendDirectMessage', async ({ ann, bob, vic }) => {
      await ann.actions.sendDirectMessage('psst', bob.id);
      const { data } = await bob.heard('NEW_MESSAGE', message('psst'));
      same('recipient', data.recipientPeer, bob.id);
      await ann.actions.sendBroadcastMessage('said loudly');
      await vic.heard('NEW_MESSAGE', message('said loudly'));
      expect('not for others', !texts(vic).includes('psst'));
      await bob.until('it is found by peer', () => bob.get(sdk.selectMessagesByPeerID(ann.id)).some(message('psst')));
      await refused('to nobody', ann.actions.sendDirectMessage('x', 'nobody'));
    }],

    ['chat: id and time in the result, no echo, roles, private', async ({ ann, bob }) => {
      await ann.actions.sendBroadcastMessage('only once');
      const { data } = await bob.heard('NEW_MESSAGE', message('only once'));
      const own = ann.get(sdk.selectHMSMessages).filter(message('only once'));
      same('no echo', own.length, 1);
      same('the same message', [own[0].id, +own[0].time], [data.id, +data.time]);
      expect('id and time', data.id && Math.abs(data.time - Date.now()) < 60_000);
      await bob.actions.sendBroadcastMessage('answer');
      await ann.heard('NEW_MESSAGE', message('answer'));
      same('no echo of what follows', texts(ann).filter((text) => text === 'only once').length, 1);
    }],

    ['setMessageRead, ignoreMessageTypes', async ({ ann, bob }) => {
      await ann.actions.sendBroadcastMessage('read me');
      const { data } = await bob.heard('NEW_MESSAGE', message('read me'));
      await bob.until('it is unread', () => bob.get(sdk.selectHMSMessages).some(({ id, read }) => id === data.id && !read));
      expect('counted', bob.get(sdk.selectUnreadHMSMessagesCount) > 0);
      bob.actions.setMessageRead(true, data.id);
      await bob.until('it is read', () => bob.get(sdk.selectHMSMessages).find(({ id }) => id === data.id).read);
      bob.actions.setMessageRead(true);
      await bob.until('all are read', () => bob.get(sdk.selectUnreadHMSMessagesCount) === 0);
      bob.actions.ignoreMessageTypes(['noise']);
      await ann.actions.sendBroadcastMessage('loud', 'noise');
      await ann.actions.sendBroadcastMessage('quiet');
      await bob.heard('NEW_MESSAGE', message('quiet'));
      expect('ignored', !texts(bob).includes('loud'));
      bob.actions.ignoreMessageTypes([], true);
    }],

    ['changeName', async ({ ann, bob }) => {
      await bob.actions.changeName('Bobby <b>שלום</b>');
      const { data } = await ann.heard('NAME_UPDATED', ({ id }) => id === bob.id);
      same('name', data.name, 'Bobby <b>שלום</b>');
      await bob.until('knows its own', () => bob.get(sdk.selectLocalPeerName) === 'Bobby <b>שלום</b>');
      await bob.actions.changeName('Bob');
      await ann.until('it is Bob again', () => ann.sees(bob).name === 'Bob');
    }],

    ['changeMetadata', async ({ ann, bob }) => {
      same('from the join', ann.get(sdk.selectPeerMetadata(bob.id)), { a: 1 });
      await bob.actions.changeMetadata({ team: 'red' });
      await ann.heard('METADATA_UPDATED', ({ id }) => id === bob.id);
      same('parsed', ann.get(sdk.selectPeerMetadata(bob.id)), { team: 'red' });
      await bob.actions.changeMetadata('plain');
      await ann.until('text', () => ann.sees(bob).metadata === 'plain');
      await bob.until('its own', () => bob.get(sdk.selectLocalPeer).metadata === 'plain');
    }],

    ['raiseLocalPeerHand, lowerLocalPeerHand', async ({ ann, gil }) => {
      await gil.actions.raiseLocalPeerHand();
      await ann.heard('HAND_RAISE_CHANGED', ({ id, isHandRaised }) => id === gil.id && isHandRaised);
      same('selected', ann.get(sdk.selectHandRaisedPeers).map(({ name }) => name), ['Gil']);
      ann.forget();
      await gil.actions.lowerLocalPeerHand();
      await ann.heard('HAND_RAISE_CHANGED', ({ id, isHandRaised }) => id === gil.id && !isHandRaised);
      same('nobody', ann.get(sdk.selectHandRaisedPeers).length, 0);
    }],

    ['a raised hand is visible to who raises it', async ({ vic }) => {
      await vic.actions.raiseLocalPeerHand();
      await vic.heard('HAND_RAISE_CHANGED', ({ isLocal, isHandRaised }) => isLocal && isHandRaised);
      expect('its own', vic.get(sdk.selectHasPeerHandRaised(vic.id)));
      await vic.actions.lowerLocalPeerHand();
      await vic.until('lowered', () => !vic.get(sdk.selectHasPeerHandRaised(vic.id)));
    }],

    ['raiseRemotePeerHand, lowerRemotePeerHand', async ({ ann, bob, vic }) => {
      await ann.actions.raiseRemotePeerHand(vic.id);
      await vic.heard('HAND_RAISE_CHANGED', ({ isLocal, isHandRaised }) => isLocal && isHandRaised);
      await bob.until('seen by others', () => bob.sees(vic).isHandRaised);
      await ann.actions.lowerRemotePeerHand(vic.id);
      await vic.until('lowered', () => !vic.get(sdk.selectLocalPeer).isHandRaised);
      await bob.until('lowered for others', () => !bob.sees(vic).isHandRaised);
    }],

    ['getPeer', async ({ ann, gil }) => {
      const peer = await ann.actions.getPeer(gil.id);
      same('the peer', [peer.id, peer.name, peer.roleName], [gil.id, 'Gil', 'gallery']);
      const nobody = await ann.actions.getPeer(crypto.randomUUID()).catch((error) => error);
      expect(`nobody: ${nobody}`, nobody === undefined || nobody.code === 404);
    }],

    ['findPeerByName', async ({ ann }) => {
      const found = await ann.actions.findPeerByName({ query: 'I', limit: 1 });
      const next = await ann.actions.findPeerByName({ query: 'I', limit: 10, offset: found.offset });
      same('pages', [...found.peers, ...next.peers].map(({ name }) => name).sort(), ['Gil', 'Vic']);
      same('the end', [found.eof, next.eof], [false, true]);
      same('nobody', (await ann.actions.findPeerByName({ query: 'zz' })).peers, []);
    }],

    ['getPeerListIterator', async ({ ann, bob, vic, gil }) => {
      const list = ann.actions.getPeerListIterator({ limit: 2 });
      const names = [];
      while (list.hasNext()) names.push(...(await list.next()).map(({ name }) => name));
      same('all', names.sort(), ['Ann', 'Bob', 'Gil', 'Vic']);
      same('total', list.getTotal(), 4);
      same('by role', (await ann.actions.getPeerListIterator({ role: 'watcher' }).findPeers()).map(({ id }) => id), [vic.id]);
      same('by ids', (await ann.actions.getPeerListIterator({ peerIds: [bob.id, gil.id] }).findPeers()).map(({ name }) => name).sort(), ['Bob', 'Gil']);
      await gil.actions.raiseLocalPeerHand();
      await gil.until('raised', () => gil.get(sdk.selectLocalPeer).isHandRaised);
      same('by group', (await ann.actions.getPeerListIterator({ group: '_handraise' }).findPeers()).map(({ name }) => name), ['Gil']);
      await gil.actions.lowerLocalPeerHand();
    }],
  ],
};
