// A new poll or quiz: its questions, with what can be chosen.
import { html } from 'lit';
import type { HMSPollCreateParams } from './sdk.js';
import { HMSPollQuestionType, actions } from './sdk.js';
import { toast } from './toasts.js';
import { View, icon, when } from './view.js';

interface Question {
  text: string;
  type: HMSPollQuestionType;
  options: { text: string; right: boolean }[];
}

const mostQuestions = 20;
const mostOptions = 10;
const longestTitle = 150;
const longestText = 500;

const question = (): Question => ({
  text: '', type: HMSPollQuestionType.SINGLE_CHOICE, options: [{ text: '', right: true }, { text: '', right: false }],
});

export const chooses = (type: HMSPollQuestionType): boolean =>
  type === HMSPollQuestionType.SINGLE_CHOICE || type === HMSPollQuestionType.MULTIPLE_CHOICE;

/** What is sent for what was typed; empty options are left out. */
export function pollOf(title: string, type: 'poll' | 'quiz', anonymous: boolean, questions: Question[]): HMSPollCreateParams {
  return {
    id: '', title: title.trim(), type, anonymous, visibility: true,
    questions: questions.map((one) => ({
      text: one.text.trim(), type: one.type, skippable: false,
      ...(chooses(one.type) && {
        options: one.options.filter(({ text }) => text.trim()).map(({ text, right }) => ({
          text: text.trim(), isCorrectAnswer: type === 'quiz' && right, weight: type === 'quiz' && right ? 10 : 0,
        })),
      }),
      ...(type === 'quiz' && { weight: 10 }),
    })),
  };
}

class PollForm extends View {
  private type: 'poll' | 'quiz' = 'poll';
  private questions: Question[] = [question()];
  private sending = false;

  protected override render() {
    const quiz = this.type === 'quiz';
    return html`<form class="poll-form" @submit=${this.submit}>
      <fieldset class="segments"><legend class="visually-hidden">Kind</legend>
        ${(['poll', 'quiz'] as const).map((type) => html`<label><input type="radio" name="kind" value=${type} .checked=${this.type === type}
          data-testid="poll-kind-${type}" @change=${() => this.change(() => { this.type = type; })} /><span>${type === 'poll' ? 'Poll' : 'Quiz'}</span></label>`)}</fieldset>
      <div class="field"><label for="poll-title">Title</label>
        <input class="input" id="poll-title" name="title" required maxlength=${longestTitle} data-testid="poll-title" autocomplete="off" /></div>
      ${this.questions.map((one, i) => this.question(one, i, quiz))}
      ${when(this.questions.length < mostQuestions, () => html`<button class="button button-quiet" type="button"
        @click=${() => this.change(() => this.questions.push(question()))}>${icon('plus')} Another question</button>`)}
      <label class="check"><input type="checkbox" name="anonymous" ?disabled=${quiz} />Nobody sees who answered what</label>
      <div class="dialog-actions"><button class="button" type="button" data-testid="poll-cancel" @click=${() => this.dispatchEvent(new CustomEvent('done'))}>Cancel</button>
        <button class="button button-primary" type="submit" data-testid="poll-start" ?disabled=${this.sending}>Start</button></div>
    </form>`;
  }

  private question(one: Question, i: number, quiz: boolean) {
    const multiple = one.type === HMSPollQuestionType.MULTIPLE_CHOICE;
    return html`<fieldset class="poll-question"><legend>Question ${i + 1}</legend>
      <input class="input" required maxlength=${longestText} aria-label="Question ${i + 1}" data-testid="poll-question" autocomplete="off" .value=${one.text}
        @input=${(event: Event) => { one.text = (event.target as HTMLInputElement).value; }} />
      <select class="input" aria-label="Kind of answer to question ${i + 1}" @change=${(event: Event) => this.change(() => {
        one.type = (event.target as HTMLSelectElement).value as HMSPollQuestionType;
      })}>
        <option value=${HMSPollQuestionType.SINGLE_CHOICE} ?selected=${one.type === HMSPollQuestionType.SINGLE_CHOICE}>One answer</option>
        <option value=${HMSPollQuestionType.MULTIPLE_CHOICE} ?selected=${multiple}>Several answers</option>
        ${when(!quiz, () => html`<option value=${HMSPollQuestionType.SHORT_ANSWER} ?selected=${one.type === HMSPollQuestionType.SHORT_ANSWER}>A text</option>`)}
      </select>
      ${when(chooses(one.type), () => html`${one.options.map((option, k) => html`<div class="poll-option">
          ${when(quiz, () => html`<input type=${multiple ? 'checkbox' : 'radio'} name="right-${i}" .checked=${option.right}
            aria-label="Answer ${k + 1} is right" title="This one is right" @change=${() => this.change(() => {
              if (!multiple) for (const other of one.options) other.right = false;
              option.right = multiple ? !option.right : true;
            })} />`)}
          <input class="input" ?required=${k < 2} maxlength=${longestText} placeholder="Answer ${k + 1}" aria-label="Answer ${k + 1}" data-testid="poll-option"
            autocomplete="off" .value=${option.text} @input=${(event: Event) => { option.text = (event.target as HTMLInputElement).value; }} />
          ${when(one.options.length > 2, () => html`<button class="tool tool-small tool-plain" type="button" aria-label="Take answer ${k + 1} away"
            @click=${() => this.change(() => one.options.splice(k, 1))}>${icon('trash')}</button>`)}</div>`)}
        ${when(one.options.length < mostOptions, () => html`<button class="button button-small" type="button"
          @click=${() => this.change(() => one.options.push({ text: '', right: false }))}>${icon('plus')} Another answer</button>`)}`)}
      ${when(this.questions.length > 1, () => html`<button class="button button-small" type="button"
        @click=${() => this.change(() => this.questions.splice(i, 1))}>${icon('trash')} Take this question away</button>`)}
    </fieldset>`;
  }

  private change(apply: () => unknown): void {
    apply();
    this.requestUpdate();
  }

  private readonly submit = async (event: SubmitEvent) => {
    event.preventDefault();
    if (this.sending) return;
    const given = new FormData(event.target as HTMLFormElement);
    this.change(() => { this.sending = true; });
    try {
      await actions.interactivityCenter.startPoll(pollOf(String(given.get('title')), this.type, given.has('anonymous'), this.questions));
      this.dispatchEvent(new CustomEvent('done'));
    } catch (error) {
      toast(`The ${this.type} could not be started: ${error instanceof Error ? error.message : 'try again'}.`);
      this.change(() => { this.sending = false; });
    }
  };
}
customElements.define('amphi-poll-form', PollForm);
