import type { Answer } from "./conversation.ts";
import { say } from "./dictionary.ts";
import { icon, iconButton, make, sentence } from "./elements.ts";
import { renderMarkdown } from "./markdown.ts";

/** What can be done with an answer. */
export interface AnswerActions {
  /** Asks the same question again. Undefined: not the newest turn. */
  readonly again: (() => void) | undefined;
}

/** One answer on the page. It is drawn anew, at most once a frame, when the answer has changed. */
export class AnswerView {
  readonly element: HTMLElement;
  readonly #answer: Answer;
  readonly #text = make("div", { class: "text" });
  readonly #foot = make("footer");
  #frame = 0;
  #countdown = 0;

  constructor(answer: Answer, actions: AnswerActions) {
    this.#answer = answer;
    this.element = make(
      "article",
      { class: "answer", "data-model": answer.model, "aria-label": answer.model },
      make("header", {}, make("span", { class: "model" }, answer.model)),
      this.#text,
      this.#foot,
    );
    this.draw(actions);
  }

  /** Draws text that has grown, in the next frame. */
  grow(): void {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#drawText();
    });
  }

  /** Draws everything. */
  draw(actions: AnswerActions): void {
    cancelAnimationFrame(this.#frame);
    clearInterval(this.#countdown);
    this.#frame = 0;
    const streaming = this.#answer.state === "streaming";
    // Screen readers read a live region when it is no longer busy: whole answers instead of syllables.
    this.element.setAttribute("aria-busy", String(streaming));
    this.element.dataset["state"] = this.#answer.state;
    this.#drawText();
    this.#foot.replaceChildren(...(streaming ? [] : this.#endOf(actions)));
  }

  #drawText(): void {
    const waiting = this.#answer.text === "" && this.#answer.state === "streaming";
    this.#text.replaceChildren(
      waiting
        ? make("span", { class: "dots", "aria-hidden": "true" }, make("i"), make("i"), make("i"))
        : renderMarkdown(this.#answer.text),
    );
  }

  #endOf(actions: AnswerActions): Node[] {
    const { state, failure, text, cut } = this.#answer;
    const nodes: Node[] = [];
    if (state === "failed") nodes.push(make("p", { class: "failure", role: "alert" }, ...sentence(failure ?? "")));
    if (state === "stopped") nodes.push(make("p", { class: "remark" }, say("stopped")));
    if (cut === true) nodes.push(make("p", { class: "remark" }, say("cut")));
    const row = make("div", { class: "actions" });
    if (text !== "" && (navigator.clipboard as Clipboard | undefined)) row.append(copyButton(text));
    if (actions.again !== undefined) row.append(this.#againButton(actions.again));
    if (state !== "failed") row.append(make("span", { class: "facts" }, factsOf(this.#answer)));
    return [...nodes, row];
  }

  #againButton(again: () => void): HTMLButtonElement {
    const failed = this.#answer.state === "failed";
    const button = iconButton("again", say(failed ? "retry" : "again"), failed);
    button.addEventListener("click", again);
    const { retryAt } = this.#answer;
    if (!failed || retryAt === undefined) return button;
    const count = (): void => {
      const seconds = Math.ceil((retryAt - Date.now()) / 1000);
      button.disabled = seconds > 0;
      button.replaceChildren(icon("again"), seconds > 0 ? say("retry.in", { seconds }) : say("retry"));
      if (seconds <= 0) clearInterval(this.#countdown);
    };
    this.#countdown = setInterval(count, 500);
    count();
    return button;
  }
}

function copyButton(text: string): HTMLButtonElement {
  const button = iconButton("copy", say("copy"));
  button.addEventListener("click", () => {
    void navigator.clipboard.writeText(text).then(() => {
      button.replaceChildren(icon("check"));
      button.setAttribute("aria-label", say("copied"));
      button.title = say("copied");
    });
  });
  return button;
}

function factsOf({ seconds, tokens }: Answer): string {
  const facts: string[] = [];
  if (seconds !== undefined) facts.push(`${seconds.toFixed(1)} s`);
  if (tokens !== undefined) facts.push(tokens === 1 ? say("tokens.one") : say("tokens", { count: tokens }));
  if (seconds !== undefined && tokens !== undefined && seconds > 0) {
    facts.push(say("rate", { rate: (tokens / seconds).toFixed(1) }));
  }
  return facts.join(" · ");
}
