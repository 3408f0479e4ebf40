import type { RunView } from "../recipe/protocol.ts";
import { say } from "./dictionary.ts";
import { byId, make, sentence } from "./elements.ts";
import { clock, short } from "./formats.ts";
import type { Standing } from "./run-state.ts";

/** The card above the question box that says why the model can't be asked yet. */
export class Notice {
  readonly #card = byId("notice", HTMLElement);

  show(standing: Standing, view: RunView | undefined): void {
    this.#card.hidden = standing.tone === "good";
    if (this.#card.hidden) return;
    this.#card.dataset["tone"] = standing.tone;
    const bar = make("progress", standing.fraction === undefined ? {} : { max: "1", value: String(standing.fraction) });
    bar.setAttribute("aria-label", standing.title);
    this.#card.replaceChildren(
      make("strong", {}, standing.title),
      ...(standing.tone === "busy" ? [bar] : []),
      make("p", {}, ...sentence([progressOf(view), standing.detail].find((text) => text !== "") ?? "")),
    );
  }
}

/** `step 12 of 24 · Loss 0.61 · 0:21 left`; empty unless it trains. */
export function progressOf(view: RunView | undefined): string {
  const run = view?.run;
  if (run?.state !== "training" || run.totalSteps === 0) return "";
  return [
    say("progress", { step: run.step, total: run.totalSteps }),
    run.loss === undefined ? "" : `${say("loss")} ${short(run.loss)}`,
    run.tokensPerSecond === undefined ? "" : `${Math.round(run.tokensPerSecond)} ${say("speed").toLowerCase()}`,
    run.secondsLeft === undefined ? "" : say("left", { time: clock(run.secondsLeft) }),
  ]
    .filter((part) => part !== "")
    .join(" · ");
}
