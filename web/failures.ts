import { say } from "./dictionary.ts";
import { EndpointError } from "./endpoint.ts";

/** Why a question was not answered, in a sentence or two. `begun`: some text had come already. */
export function sentenceOf(thrown: unknown, begun: boolean): string {
  if (!(thrown instanceof EndpointError)) return thrown instanceof Error ? thrown.message : String(thrown);
  const lead = leadOf(thrown.status, begun);
  return [lead, thrown.message].filter((part) => part !== "").join(" ");
}

function leadOf(status: number, begun: boolean): string {
  switch (status) {
    case 0:
      return say(begun ? "fail.broken" : "fail.unreachable");
    case 413:
      return say("fail.large");
    case 429:
      return say("fail.busy");
    case 503:
      return say("fail.notReady");
    default:
      return say("fail.other", { status });
  }
}
