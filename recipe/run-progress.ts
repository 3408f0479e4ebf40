import type { RunStatus } from "./lifecycle.ts";
import type { Progress } from "./protocol.ts";

/** `1:05`, `2:03:04`: a duration as a clock shows it. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (part: number): string => String(part).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** A run's state as one line for people, such as `step 12/24 · loss 0.61 · lr 8.1e-4 · 512 tokens/s · 0:21 left`. */
export function runProgress(status: RunStatus): Progress {
  const { state, step, totalSteps, loss, learningRate, tokensPerSecond, secondsLeft, detail, nextPod } = status;
  const stepping = state === "training" && secondsLeft !== undefined && secondsLeft > 0;
  const parts = stepping
    ? [
        `step ${step}/${totalSteps}`,
        ...(loss === undefined ? [] : [`loss ${loss.toPrecision(3)}`]),
        ...(learningRate === undefined ? [] : [`lr ${learningRate.toExponential(1)}`]),
        ...(tokensPerSecond === undefined ? [] : [`${Math.round(tokensPerSecond)} tokens/s`]),
        `${clock(secondsLeft)} left`,
        ...(detail === undefined || detail === "training" ? [] : [detail]),
      ]
    : [
        nextPod === true ? `${state}, its next Pod tries again` : state,
        ...(detail === undefined || detail === state ? [] : [detail]),
      ];
  return {
    message: stepping ? parts.join(" · ") : parts.join(": "),
    ...(totalSteps === 0 ? {} : { fraction: Math.min(1, step / totalSteps) }),
    ...(secondsLeft === undefined ? {} : { secondsLeft }),
  };
}
