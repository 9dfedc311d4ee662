// Polls and quizzes of the session: answer them, see what came of them, and, for who may, start and end them.
import { html } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import { count } from './format.js';
import { chooses } from './poll-form.js';
import type { HMSPoll, HMSPollQuestion, HMSPollQuestionResponseCreateParams, HMSQuizLeaderboardResponse } from './sdk.js';
import {
  HMSPollQuestionType, actions, selectLocalPeerRoleName, selectPermissions, selectPolls,
} from './sdk.js';
import { toast } from './toasts.js';
import { View, icon, when } from './view.js';
import { Watch } from './watch.js';
import './poll-form.js';

const shownOnBoard = 10;

/** Those that have begun, the newest first: drafts are somebody's own business. */
export function shown(polls: HMSPoll[]): HMSPoll[] {
  return polls.filter((poll) => poll.state !== 'created')
    .sort((a, b) => (b.startedAt?.getTime() ?? 0) - (a.startedAt?.getTime() ?? 0));
}

/** Whether the answers of an option's voters count as right. */
export function isRight(question: HMSPollQuestion, option: number): boolean {
  const { answer } = question;
  if (!answer || answer.hidden) return false;
  return question.type === HMSPollQuestionType.SINGLE_CHOICE ? answer.option === option : !!answer.options?.includes(option);
}

/** How many of those who answered chose it, in percent. */
export const share = (votes: number, total: number): number => (total > 0 ? Math.round((votes / total) * 100) : 0);

class Polls extends View {
  private readonly polls = new Watch(this, selectPolls);
  private readonly permissions = new Watch(this, selectPermissions);
  private readonly myRole = new Watch(this, selectLocalPeerRoleName);
  private making = false;
  private readonly boards = new Map<string, HMSQuizLeaderboardResponse>();

  override connectedCallback(): void {
    super.connectedCallback();
    actions.interactivityCenter.getPolls().catch((error: unknown) => console.warn('amphi: polls', error));
  }

  protected override render() {
    const polls = shown(this.polls.value);
    if (this.making) return html`<div class="polls"><amphi-poll-form @done=${() => this.make(false)}></amphi-poll-form></div>`;
    return html`<div class="polls" tabindex="-1">
      ${when(this.permissions.value?.pollWrite, () => html`<button class="button button-primary button-wide" type="button" data-testid="poll-new"
        @click=${() => this.make(true)}>${icon('plus')} New poll or quiz</button>`)}
      ${when(polls.length === 0, () => html`<div class="messages-empty">${icon('poll')}<p>No polls yet.</p></div>`)}
      ${repeat(polls, (poll) => poll.id, (poll) => this.poll(poll))}
    </div>`;
  }

  private poll(poll: HMSPoll) {
    const runs = poll.state === 'started';
    const questions = poll.questions ?? [];
    const answered = questions.some((question) => question.responses?.length);
    const may = !poll.rolesThatCanVote?.length || poll.rolesThatCanVote.includes(this.myRole.value ?? '');
    return html`<article class="poll" data-testid="poll" data-title=${poll.title} data-state=${poll.state ?? ''}>
      <header><h3>${poll.title}</h3><span class="poll-state">${poll.type === 'quiz' ? 'Quiz' : 'Poll'} · ${runs ? 'running' : 'ended'}</span></header>
      ${runs && !answered && may ? this.ballot(poll, questions) : questions.map((question) => this.result(poll, question))}
      <p class="muted">${poll.result ? `${count(poll.result.totalUsers ?? 0, 'person has', 'people have')} answered. ` : ''}${
        poll.anonymous ? 'Nobody sees who answered what.' : ''}${runs && answered ? ' Your answer is in.' : ''}</p>
      ${when(runs && this.permissions.value?.pollWrite, () => html`<button class="button button-small" type="button" data-testid="poll-end"
        @click=${() => this.attempt(actions.interactivityCenter.stopPoll(poll.id), 'The poll could not be ended')}>${icon('stop')} End ${poll.type}</button>`)}
      ${when(!runs && poll.type === 'quiz' && !poll.anonymous, () => this.board(poll))}
    </article>`;
  }

  private ballot(poll: HMSPoll, questions: HMSPollQuestion[]) {
    return html`<form @submit=${(event: SubmitEvent) => this.vote(event, poll, questions)}>
      ${questions.map((question) => {
        const name = `q${question.index}`;
        if (!chooses(question.type)) {
          return html`<label class="field"><span class="label">${question.text}</span><input class="input" name=${name} required maxlength="500" autocomplete="off" /></label>`;
        }
        const several = question.type === HMSPollQuestionType.MULTIPLE_CHOICE;
        return html`<fieldset><legend>${question.text}${several ? ' (several)' : ''}</legend>${question.options?.map((option) => html`
          <label class="check"><input type=${several ? 'checkbox' : 'radio'} name=${name} value=${option.index} ?required=${!several}
            data-testid="poll-choice" />${option.text}</label>`)}</fieldset>`;
      })}
      <button class="button button-primary" type="submit" data-testid="poll-vote">Send my answer</button></form>`;
  }

  private result(poll: HMSPoll, question: HMSPollQuestion) {
    const mine = question.responses?.[0];
    const chosen = new Set([...(mine?.options ?? []), ...(mine?.option ? [mine.option] : [])]);
    const total = question.result?.totalResponses ?? 0;
    return html`<section aria-label=${question.text}><h4>${question.text}</h4>
      ${chooses(question.type) ? html`<ul>${question.options?.map((option) => {
        const percent = share(option.voteCount ?? 0, total);
        const right = poll.type === 'quiz' && poll.state === 'stopped' && isRight(question, option.index);
        return html`<li class="poll-bar" data-testid="poll-result" data-votes=${option.voteCount ?? 0}>
          <span>${option.text}${chosen.has(option.index) ? html` <b>(you)</b>` : ''}${right ? html` <b class="poll-right">${icon('check')} right</b>` : ''}</span>
          <span>${percent} %</span><meter min="0" max="100" value=${percent} aria-label=${option.text}></meter></li>`;
      })}</ul>` : html`<p>${mine?.text ?? `${count(total, 'answer', 'answers')}.`}</p>`}
    </section>`;
  }

  private board(poll: HMSPoll) {
    const board = this.boards.get(poll.id);
    if (!board) {
      return html`<button class="button button-small" type="button" data-testid="poll-board" @click=${() => this.attempt(
        actions.interactivityCenter.fetchLeaderboard(poll.id, 0, shownOnBoard).then((got) => { this.boards.set(poll.id, got); this.requestUpdate(); }),
        'The leaderboard could not be loaded')}>Who was best</button>`;
    }
    if (board.entries.length === 0) return html`<p class="muted">Nobody took part.</p>`;
    return html`<ol class="board" aria-label="Leaderboard">${board.entries.map((entry) => html`<li data-testid="board-entry">
      <b>${entry.position}</b><span>${entry.peer.username ?? 'Somebody'}</span><small>${count(entry.score, 'point', 'points')}</small></li>`)}</ol>`;
  }

  private vote(event: SubmitEvent, poll: HMSPoll, questions: HMSPollQuestion[]): void {
    event.preventDefault();
    const given = new FormData(event.target as HTMLFormElement);
    const responses = questions.map((question): HMSPollQuestionResponseCreateParams => {
      const values = given.getAll(`q${question.index}`).map(String);
      if (question.type === HMSPollQuestionType.SINGLE_CHOICE) return { questionIndex: question.index, option: Number(values[0]) };
      if (question.type === HMSPollQuestionType.MULTIPLE_CHOICE) return { questionIndex: question.index, options: values.map(Number) };
      return { questionIndex: question.index, text: values[0] ?? '' };
    });
    if (responses.some(({ options }) => options?.length === 0)) return toast('Choose an answer to each question.');
    this.attempt(actions.interactivityCenter.addResponsesToPoll(poll.id, responses), 'Your answer was not taken');
  }

  private attempt(work: Promise<unknown>, failed: string): void {
    work.catch((error: unknown) => toast(`${failed}: ${error instanceof Error ? error.message : 'try again'}.`));
  }

  private make(open: boolean): void {
    this.making = open;
    this.requestUpdate();
    void this.updateComplete.then(() => this.querySelector<HTMLElement>(open ? '#poll-title' : '[data-testid="poll-new"]')?.focus());
  }
}
customElements.define('amphi-polls', Polls);
