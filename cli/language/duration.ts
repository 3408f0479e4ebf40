import { say } from "./say.ts";

/** A duration in the user's language: `8 s`, `3 min 20 s`. */
export function durationText(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60
    ? say("duration.seconds", { seconds })
    : say("duration.minutes", { minutes: Math.floor(seconds / 60), seconds: seconds % 60 });
}
