import { AnswerView } from "./answer-view.ts";
import type { Answer, Conversation, Turn } from "./conversation.ts";
import { say } from "./dictionary.ts";
import { byId, make } from "./elements.ts";
import { type Endpoint, EndpointError } from "./endpoint.ts";
import { sentenceOf } from "./failures.ts";
import type { Settings } from "./settings.ts";

/** What the chat needs of the page around it. */
export interface ChatSurroundings {
  readonly settings: () => Settings;
  /** Called when answering begins and when it ends. */
  readonly onBusy: (busy: boolean) => void;
  /** The key is not accepted any more. */
  readonly onRefused: () => void;
}

/** The conversation on the page, and the answers that are under way. */
export class Chat {
  readonly #log = byId("log", HTMLElement);
  readonly #turns = byId("turns", HTMLElement);
  readonly #announcer = byId("announcer", HTMLElement);
  readonly #endpoint: Endpoint;
  readonly #conversation: Conversation;
  readonly #around: ChatSurroundings;
  readonly #views = new Map<Answer, AnswerView>();
  #abort = new AbortController();
  #under = 0;

  constructor(endpoint: Endpoint, conversation: Conversation, around: ChatSurroundings) {
    this.#endpoint = endpoint;
    this.#conversation = conversation;
    this.#around = around;
    this.#drawAll();
  }

  get busy(): boolean {
    return this.#under > 0;
  }

  get empty(): boolean {
    return this.#conversation.turns.length === 0;
  }

  /** Asks each of `models`; their answers come side by side. */
  ask(question: string, models: readonly string[]): void {
    if (this.busy) return;
    const answers = models.map((model): Answer => ({ model, text: "", state: "streaming" }));
    this.#conversation.turns.push({ question, answers });
    this.#start(answers);
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  /** Ends the answers under way; what has come stays. */
  stop(): void {
    this.#abort.abort();
  }

  clear(): void {
    this.stop();
    this.#conversation.clear();
    this.#drawAll();
  }

  #again(turn: Turn, old: Answer): void {
    if (this.busy) return;
    const answer: Answer = { model: old.model, text: "", state: "streaming" };
    turn.answers[turn.answers.indexOf(old)] = answer;
    this.#start([answer]);
  }

  #start(answers: readonly Answer[]): void {
    this.#abort = new AbortController();
    this.#under = answers.length;
    this.#drawAll();
    this.#around.onBusy(true);
    this.#announcer.textContent = say("answering", { model: answers.map(({ model }) => model).join(", ") });
    for (const answer of answers) {
      void this.#receive(answer, this.#abort.signal).finally(() => {
        this.#under -= 1;
        this.#conversation.save();
        this.#redraw();
        if (this.busy) return;
        this.#announcer.textContent = say("answered", { model: answers.map(({ model }) => model).join(", ") });
        this.#around.onBusy(false);
      });
    }
  }

  async #receive(answer: Answer, signal: AbortSignal): Promise<void> {
    const { system, temperature, maxTokens } = this.#around.settings();
    const index = this.#conversation.turns.findIndex((turn) => turn.answers.includes(answer));
    const messages = this.#conversation.messages(index, answer.model, system);
    const start = performance.now();
    try {
      for await (const piece of this.#endpoint.chat(
        { model: answer.model, messages, temperature, maxTokens },
        signal,
      )) {
        if (piece.text !== undefined) this.#grow(answer, piece.text);
        if (piece.tokens !== undefined) answer.tokens = piece.tokens;
        if (piece.finish === "length") answer.cut = true;
      }
      answer.state = answer.text.trim() === "" ? "failed" : "done";
      if (answer.state === "failed") answer.failure = say("fail.empty");
    } catch (thrown) {
      this.#fail(answer, thrown, signal);
    }
    answer.seconds = (performance.now() - start) / 1000;
  }

  #fail(answer: Answer, thrown: unknown, signal: AbortSignal): void {
    answer.state = signal.aborted ? "stopped" : "failed";
    if (signal.aborted) return;
    answer.failure = sentenceOf(thrown, answer.text !== "");
    if (!(thrown instanceof EndpointError)) return;
    if (thrown.retryAfter !== undefined) answer.retryAt = Date.now() + thrown.retryAfter * 1000;
    if (thrown.status === 401) this.#around.onRefused();
  }

  #grow(answer: Answer, text: string): void {
    answer.text += text;
    // Who scrolled up to read is left there.
    const followed = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 80;
    this.#views.get(answer)?.grow();
    if (followed) requestAnimationFrame(() => (this.#log.scrollTop = this.#log.scrollHeight));
  }

  #drawAll(): void {
    this.#views.clear();
    this.#turns.replaceChildren(...this.#conversation.turns.map((turn) => this.#turnElement(turn)));
    this.#log.classList.toggle("empty", this.empty);
  }

  #turnElement(turn: Turn): HTMLElement {
    const answers = turn.answers.map((answer) => {
      const view = new AnswerView(answer, this.#actionsOf(turn, answer));
      this.#views.set(answer, view);
      return view.element;
    });
    return make(
      "section",
      { class: "turn" },
      make("div", { class: "question" }, make("span", { class: "unseen" }, `${say("you")}: `), turn.question),
      make("div", { class: answers.length > 1 ? "answers both" : "answers" }, ...answers),
    );
  }

  #redraw(): void {
    for (const turn of this.#conversation.turns.slice(-1)) {
      for (const answer of turn.answers) this.#views.get(answer)?.draw(this.#actionsOf(turn, answer));
    }
    const followed = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 160;
    if (followed) this.#log.scrollTop = this.#log.scrollHeight;
  }

  #actionsOf(turn: Turn, answer: Answer): { again: (() => void) | undefined } {
    const newest = turn === this.#conversation.turns.at(-1);
    return { again: newest && !this.busy ? () => this.#again(turn, answer) : undefined };
  }
}
