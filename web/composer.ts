import type { RunView } from "../recipe/protocol.ts";
import { say } from "./dictionary.ts";
import { byId, icon, make, sentence } from "./elements.ts";

const place = "tuneup.models";

/** The question box with its Send / Stop button and the choice of models. */
export class Composer {
  readonly #form = byId("composer", HTMLFormElement);
  readonly #question = byId("question", HTMLTextAreaElement);
  readonly #button = byId("send", HTMLButtonElement);
  readonly #choice = byId("choice", HTMLFieldSetElement);
  readonly #note = byId("base-note", HTMLElement);
  readonly #onAsk: (question: string, models: readonly string[]) => void;
  readonly #onStop: () => void;
  #models: readonly string[] = [];
  #offered = "";
  #ready = false;
  #busy = false;

  constructor(onAsk: (question: string, models: readonly string[]) => void, onStop: () => void) {
    this.#onAsk = onAsk;
    this.#onStop = onStop;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#busy) this.#onStop();
      else this.#send();
    });
    this.#question.addEventListener("keydown", (event) => {
      // Enter also ends the composition of Chinese text: that must not send.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      if (!this.#busy) this.#send();
    });
    this.#question.addEventListener("input", () => this.#refresh());
    this.#choice.addEventListener("change", () => sessionStorage.setItem(place, this.#chosen()));
    this.#refresh();
  }

  focus(): void {
    this.#question.focus();
  }

  /** Sends `question` as if it had been typed. */
  suggest(question: string): void {
    this.#question.value = question;
    this.#refresh();
    this.#send();
  }

  busy(busy: boolean): void {
    this.#busy = busy;
    this.#refresh();
  }

  /** Takes over what can be asked now. `models`: ids of GET /v1/models, the experiment's own first. */
  show(models: readonly string[], view: RunView, ready: boolean): void {
    this.#models = models;
    this.#ready = ready;
    this.#offer(view);
    this.#question.placeholder = ready ? say("ask.placeholder", { model: models[0] ?? "" }) : say("ask.waiting");
    this.#refresh();
  }

  #offer(view: RunView): void {
    const own = this.#models[0] ?? view.experiment;
    const base = this.#models[1];
    const offered = JSON.stringify([own, base, view.endpoint.baseRefused]);
    if (offered === this.#offered) return;
    this.#offered = offered;
    const wanted = sessionStorage.getItem(place) ?? own;
    const option = (value: string, label: string, enabled: boolean): HTMLElement => {
      const input = make("input", { type: "radio", name: "model", value, disabled: !enabled });
      input.checked = enabled && wanted === value;
      return make("label", {}, input, make("span", {}, label));
    };
    const hasBase = base !== undefined;
    this.#choice.replaceChildren(
      make("legend", { class: "unseen" }, say("which")),
      option(own, own, true),
      option("base", base ?? "base", hasBase),
      option("both", say("both"), hasBase),
    );
    const first = this.#choice.querySelector("input");
    if (this.#choice.querySelector("input:checked") === null && first !== null) first.checked = true;
    this.#note.hidden = hasBase;
    const reason = view.endpoint.baseRefused ?? say("base.absent");
    this.#note.replaceChildren(...sentence(say("base.refused", { reason })));
  }

  #chosen(): string {
    return this.#choice.querySelector<HTMLInputElement>("input:checked")?.value ?? "";
  }

  #send(): void {
    const question = this.#question.value.trim();
    if (question === "" || !this.#ready || this.#busy) return;
    const [own = "", base = own] = this.#models;
    const chosen = this.#chosen();
    this.#question.value = "";
    this.#onAsk(question, chosen === "both" ? [base, own] : chosen === "base" ? [base] : [own]);
  }

  #refresh(): void {
    const label = say(this.#busy ? "stop" : "send");
    this.#button.replaceChildren(icon(this.#busy ? "stop" : "send"));
    this.#button.setAttribute("aria-label", label);
    this.#button.title = label;
    this.#button.classList.toggle("stop", this.#busy);
    this.#button.disabled = !this.#busy && (!this.#ready || this.#question.value.trim() === "");
    // Grows with its text up to the CSS's max-height.
    this.#question.style.height = "auto";
    this.#question.style.height = `${this.#question.scrollHeight}px`;
  }
}
