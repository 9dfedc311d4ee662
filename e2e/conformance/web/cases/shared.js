// What a session has in common: values, polls, the whiteboard; and what a client keeps for itself.
import { expect, refused, same, sdk } from '../kit.js';

const value = (person, key) => person.get(sdk.selectSessionStore(key));
const poll = (person, id) => person.get(sdk.selectPolls)?.find((poll) => poll.id === id);
const questions = [
  { text: 'Capital?', type: 'single-choice', weight: 10, options: [{ text: 'Rome' }, { text: 'Paris', isCorrectAnswer: true }] },
  { text: 'Primes?', type: 'multiple-choice', skippable: true, weight: 5,
    options: [{ text: '1' }, { text: '2', isCorrectAnswer: true }, { text: '3', isCorrectAnswer: true }] },
];

export const shared = {
  name: 'shared',
  people: { ann: { role: 'host' }, bob: { role: 'guest' }, gil: { role: 'gallery' } },
  cases: [
    ['sessionStore.set', async ({ ann, bob }) => {
      await bob.actions.sessionStore.observe('spotlight');
      await ann.actions.sessionStore.set('spotlight', { peer: bob.id, since: 7 });
      await bob.until('the value', () => value(bob, 'spotlight')?.since === 7);
      await ann.actions.sessionStore.set('spotlight', [1, 'two', null]);
      await bob.until('another', () => JSON.stringify(value(bob, 'spotlight')) === '[1,"two",null]');
      await ann.actions.sessionStore.set('spotlight');
      await bob.until('deleted', () => value(bob, 'spotlight') == null);
    }],

    ['sessionStore.observe, unobserve', async ({ ann, bob, gil }) => {
      await ann.actions.sessionStore.set('mood', 'fine');
      await gil.actions.sessionStore.observe(['mood', 'weather']);
      await gil.until('the latest value', () => value(gil, 'mood') === 'fine');
      await bob.actions.sessionStore.set('weather', 'rain');
      await gil.until('a value of another', () => value(gil, 'weather') === 'rain');
      await gil.actions.sessionStore.unobserve(['weather']);
      await bob.actions.sessionStore.set('weather', 'sun');
      await bob.actions.sessionStore.set('mood', 'great');
      await gil.until('what is still observed', () => value(gil, 'mood') === 'great');
      expect('not observed any more', value(gil, 'weather') !== 'sun');
    }],

    ['setSessionMetadata, populateSessionMetadata', async ({ ann, bob }) => {
      await ann.actions.setSessionMetadata({ pinned: 'hello' });
      same('own', ann.get(sdk.selectSessionMetadata), { pinned: 'hello' });
      await bob.actions.populateSessionMetadata();
      await bob.until('fetched', () => bob.get(sdk.selectSessionMetadata)?.pinned === 'hello');
    }],

    ['interactivityCenter.createPoll', async ({ ann }) => {
      await ann.actions.interactivityCenter.createPoll({ id: 'lunch', title: 'Lunch', type: 'poll', duration: 600, rolesThatCanVote: ['guest', 'gallery'] });
      await ann.until('it is there', () => poll(ann, 'lunch'));
      same('as made', [poll(ann, 'lunch').title, poll(ann, 'lunch').type, poll(ann, 'lunch').state], ['Lunch', 'poll', 'created']);
    }],

    ['interactivityCenter.addQuestionsToPoll', async ({ ann, bob }) => {
      await ann.actions.interactivityCenter.addQuestionsToPoll('lunch', [
        { text: 'Where?', type: 'single-choice', options: [{ text: 'Here' }, { text: 'There' }] },
        { text: 'Why?', type: 'short-answer', skippable: true },
      ]);
      await ann.actions.interactivityCenter.startPoll('lunch');
      await bob.until('the questions', () => poll(bob, 'lunch')?.questions?.length === 2);
      same('as asked', poll(bob, 'lunch').questions.map(({ text, type, options }) => [text, type, options?.map(({ text }) => text) ?? []]),
        [['Where?', 'single-choice', ['Here', 'There']], ['Why?', 'short-answer', []]]);
    }],

    ['interactivityCenter.startPoll', async ({ ann, bob, gil }) => {
      // with the questions in one step
      await ann.actions.interactivityCenter.startPoll({ id: 'quiz', title: 'Quiz', type: 'quiz', rolesThatCanVote: [], rolesThatCanViewResponses: [], questions });
      for (const one of [ann, bob, gil]) {
        await one.heard('POLL_STARTED', ({ id }) => id === 'quiz');
        await one.until('it runs', () => poll(one, 'quiz')?.state === 'started' && poll(one, 'quiz').questions?.length === 2);
        same('who began it', poll(one, 'quiz').startedBy, ann.id);
      }
    }],

    ['interactivityCenter.addResponsesToPoll', async ({ ann, bob, gil }) => {
      await bob.actions.interactivityCenter.addResponsesToPoll('quiz', [
        { questionIndex: 1, option: 2, duration: 100 }, { questionIndex: 2, options: [2, 3], duration: 200 }]);
      await gil.actions.interactivityCenter.addResponsesToPoll('quiz', [{ questionIndex: 1, option: 1, duration: 100 }, { questionIndex: 2, skipped: true }]);
      await ann.until('the votes', () => {
        const votes = poll(ann, 'quiz').questions.map((q) => q.options.map((o) => o.voteCount ?? 0));
        return JSON.stringify(votes) === '[[1,1],[0,1,1]]' && poll(ann, 'quiz').result?.totalUsers === 2;
      });
      await ann.heard('POLL_VOTES_UPDATED', ({ id }) => id === 'quiz');
      await refused('a vote for what is no option', gil.actions.interactivityCenter.addResponsesToPoll('quiz', [{ questionIndex: 1, option: 9 }]), 400);
      await refused('a vote of a role that has none', ann.actions.interactivityCenter.addResponsesToPoll('lunch', [{ questionIndex: 1, option: 1 }]), 403);
    }],

    ['interactivityCenter.getPollResponses', async ({ bob, ann }) => {
      await bob.actions.interactivityCenter.getPollResponses(poll(bob, 'quiz'), true);
      await bob.until('its own', () => poll(bob, 'quiz').questions[0].responses?.some((r) => r.option === 2 && r.peer.peerid === bob.id));
      await ann.actions.interactivityCenter.getPollResponses(poll(ann, 'quiz'), false);
      await ann.until('those of others', () => poll(ann, 'quiz').questions[0].responses?.some(({ peer }) => peer.username === 'Gil'));
    }],

    ['interactivityCenter.stopPoll', async ({ ann, bob, gil }) => {
      await ann.actions.interactivityCenter.stopPoll('quiz');
      for (const one of [ann, bob, gil]) { // who stopped it too
        await one.heard('POLL_STOPPED', ({ id }) => id === 'quiz');
        await one.until('it is over', () => poll(one, 'quiz').state === 'stopped');
      }
      await gil.until('the result', () => poll(gil, 'quiz').result?.totalUsers === 2);
      await refused('a late vote', bob.actions.interactivityCenter.addResponsesToPoll('quiz', [{ questionIndex: 1, option: 1 }]));
    }],

    ['interactivityCenter.fetchLeaderboard', async ({ ann }) => {
      const board = await ann.actions.interactivityCenter.fetchLeaderboard('quiz', 0, 1);
      same('the first', board.entries.map((e) => [e.position, e.score, e.peer.username, e.correctResponses]), [[1, 15, 'Bob', 2]]);
      expect('more follow', board.hasNext);
      const rest = await ann.actions.interactivityCenter.fetchLeaderboard('quiz', 1, 5);
      same('the second', rest.entries.map((e) => [e.position, e.score, e.peer.username]), [[2, 0, 'Gil']]);
      expect('no more', !rest.hasNext);
      same('summary', [board.summary.votedUsers, board.summary.correctUsers], [2, 1]);
    }],

    ['interactivityCenter.getPolls', async ({ ann, enter }) => {
      const cid = await enter('Cid', 'guest');
      const polls = await cid.actions.interactivityCenter.getPolls();
      same('those that run', polls.filter(({ state }) => state === 'started').map(({ id }) => id), ['lunch']);
      await cid.until('with questions', () => poll(cid, 'lunch')?.questions?.length === 2);
      await ann.actions.interactivityCenter.createPoll({ id: 'draft', title: 'Draft', type: 'poll' });
      const all = await ann.actions.interactivityCenter.getPolls();
      same('who writes polls sees all', all.map(({ id }) => id).sort(), ['draft', 'lunch', 'quiz']);
    }],

    ['polls: who starts one is told; statistics; stop and result; leaderboard', async ({ ann, bob, enter }) => {
      const { interactivityCenter: center } = ann.actions;
      await center.startPoll({ id: 'short', title: 'Short', type: 'quiz', questions: [questions[0]] });
      await ann.heard('POLL_STARTED', ({ id }) => id === 'short');
      await bob.until('it runs', () => poll(bob, 'short')?.questions?.length === 1);
      await bob.actions.interactivityCenter.addResponsesToPoll('short', [{ questionIndex: 1, option: 2 }]);
      await ann.until('statistics', () => poll(ann, 'short').questions[0].options[1].voteCount === 1);
      // Whoever comes late knows of it, and may vote.
      const cid = await enter('Cid', 'guest');
      await cid.actions.interactivityCenter.getPolls();
      await cid.actions.interactivityCenter.addResponsesToPoll('short', [{ questionIndex: 1, option: 1 }]);
      await ann.until('both', () => poll(ann, 'short').result?.totalUsers === 2);
      await center.stopPoll('short');
      await ann.until('it is over', () => poll(ann, 'short').state === 'stopped');
      await bob.until('the result', () => poll(bob, 'short').state === 'stopped' && poll(bob, 'short').questions[0].options[0].voteCount === 1);
      const { entries } = await center.fetchLeaderboard('short', 0, 10);
      same('leaderboard', entries.map(({ score, peer }) => [peer.username, score]), [['Bob', 10], ['Cid', 0]]);
    }],

    ['session store: observing delivers the current value, and survives a reconnect', async ({ ann, enter }) => {
      await ann.actions.sessionStore.set('kept', 1);
      const cid = await enter('Cid', 'guest');
      await cid.actions.sessionStore.observe('kept');
      await cid.until('the current value', () => value(cid, 'kept') === 1);
      Wire.drop(cid.id);
      await cid.heard('RECONNECTING');
      await ann.actions.sessionStore.set('kept', 2);
      await cid.heard('RECONNECTED');
      await cid.until('what it missed', () => value(cid, 'kept') === 2);
      await ann.actions.sessionStore.set('kept', 3);
      await cid.until('what follows', () => value(cid, 'kept') === 3);
    }],

    ['interactivityCenter.whiteboard.open', async ({ ann, bob }) => {
      expect('enabled', ann.actions.interactivityCenter.whiteboard.isEnabled);
      await ann.actions.interactivityCenter.whiteboard.open({ title: 'Board' });
      await ann.until('open', () => ann.get(sdk.selectWhiteboard)?.open);
      await bob.until('open for a reader', () => bob.get(sdk.selectWhiteboard)?.open);
      const own = ann.get(sdk.selectWhiteboard);
      const other = bob.get(sdk.selectWhiteboard);
      same('the same', [own.id, own.owner], [other.id, other.owner]);
      expect(`rights: ${own.permissions} ${other.permissions}`, own.permissions.includes('admin') && !other.permissions.includes('admin') && other.permissions.includes('read'));
      expect('where', own.addr && own.token && other.token);
    }],

    ['interactivityCenter.whiteboard.close', async ({ ann, bob }) => {
      await ann.actions.interactivityCenter.whiteboard.close();
      await ann.until('closed', () => !ann.get(sdk.selectWhiteboard)?.open);
      expect('a reader may not open one', await bob.actions.interactivityCenter.whiteboard.open().then(() => !bob.get(sdk.selectWhiteboard)?.owner?.includes(bob.id), () => true));
    }],

    ['initAppData, setAppData', async ({ ann }) => {
      ann.actions.initAppData({ theme: 'dark', panel: { open: true } });
      same('set', ann.get(sdk.selectAppData('theme')), 'dark');
      ann.actions.setAppData('theme', 'light');
      ann.actions.setAppData('panel', { side: 'left' }, true);
      same('changed', [ann.get(sdk.selectAppData('theme')), ann.get(sdk.selectAppData('panel'))], ['light', { open: true, side: 'left' }]);
    }],

    ['startTranscription, stopTranscription, updateTranscriptionConfig', async ({ ann, bob }) => {
      // A server without speech recognition says so.
      const caption = { mode: 'caption' };
      for (const promise of [ann.actions.startTranscription(caption), ann.actions.stopTranscription(caption),
        ann.actions.updateTranscriptionConfig({ language: 'en' })]) {
        const error = await refused('transcription', promise);
        expect(`the reason: ${error.code} ${error.message} ${error.description}`, error.code >= 400 && error.code < 500);
      }
      expect('nothing runs', !bob.get(sdk.selectIsTranscriptionEnabled));
    }],

    ['initDiagnostics', async ({ ann }) => {
      const diagnostics = ann.actions.initDiagnostics();
      expect('its checks', typeof diagnostics.checkBrowserSupport === 'function');
      diagnostics.checkBrowserSupport(); // throws where a browser is not fit
    }],
  ],
};
