import type { RunView } from "../recipe/protocol.ts";
import { type Phrase, say } from "./dictionary.ts";

/** How it stands, for the chip in the header and the card above the question box. */
export interface Standing {
  readonly tone: "good" | "busy" | "bad";
  /** A word or two. */
  readonly word: string;
  /** Can the experiment's model be asked? */
  readonly ready: boolean;
  readonly title: string;
  /** A sentence for people, and what to do next. */
  readonly detail: string;
  /** 0..1 while it trains. */
  readonly fraction: number | undefined;
}

/** The model answers only when the endpoint is ready; `restarting` ones are asked all the same, and say why not. */
export function standingOf(view: RunView): Standing {
  const { run, endpoint } = view;
  const own = endpoint.models.find(({ id }) => id === view.models[0])?.state ?? endpoint.state;
  if (own === "ready") return standing("good", "state.ready", true, "state.ready");
  if (own === "restarting") return standing("busy", "state.restarting", true, "notReady", endpoint.detail);
  if (own === "starting") return standing("busy", "state.starting", false, "starting", endpoint.detail);
  if (own !== "waiting" || run === null) {
    const tone = own === "waiting" ? "busy" : "bad";
    const reason = endpoint.models.find(({ detail }) => detail !== undefined)?.detail ?? endpoint.detail;
    return standing(tone, `state.${own}`, false, "notReady", reason);
  }
  switch (run.state) {
    case "queued":
      return standing("busy", "state.queued", false, "queued", run.detail);
    case "saving":
      return standing("busy", "state.saving", false, "saving", run.detail);
    case "complete":
      return standing("busy", "state.starting", false, "starting", endpoint.detail);
    case "training": {
      const fraction = run.totalSteps > 0 ? Math.min(1, run.step / run.totalSteps) : undefined;
      const { word, ...rest } = standing("busy", "state.training", false, "training", run.detail);
      const percent = fraction === undefined ? "" : ` ${Math.floor(fraction * 100)} %`;
      return { ...rest, word: word + percent, fraction };
    }
    case "failed":
    case "stopped":
    case "interrupted": {
      const reason =
        run.fault === undefined ? run.detail : [run.fault.message, run.fault.next].filter(Boolean).join(" ");
      return standing("bad", `state.${run.state}`, false, "trouble", reason);
    }
  }
}

function standing(tone: Standing["tone"], word: Phrase, ready: boolean, title: Phrase, detail = ""): Standing {
  return { tone, word: say(word), ready, title: say(title), detail, fraction: undefined };
}
