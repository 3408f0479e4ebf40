import { expect, test } from "vitest";
import { Pace } from "../../../agent/runs/pace.ts";

/** A run whose steps take these milliseconds, with 100 tokens each. */
function paceOf(...milliseconds: readonly number[]): Pace {
  const pace = new Pace();
  pace.begin({ step: 10, tokens: 1000, at: 0 });
  let at = 0;
  for (const [index, duration] of milliseconds.entries()) {
    at += duration;
    pace.add({ step: 11 + index, tokens: 1100 + 100 * index, at });
  }
  return pace;
}

test("nothing is known before the first step", () => {
  expect(paceOf().secondsFor(5)).toBeUndefined();
  expect(paceOf().tokensPerSecond).toBeUndefined();
});

test("the first step counts only until there is another", () => {
  expect(paceOf(9000).secondsFor(2)).toBe(18);
  expect(paceOf(9000, 1000).secondsFor(2)).toBe(2);
  expect(paceOf(9000, 1000).tokensPerSecond).toBe(100);
  expect(paceOf(9000, 1000, 1000).secondsFor(2)).toBe(2);
});

test("one slow step, such as one with a checkpoint, does not move the estimate", () => {
  expect(paceOf(3000, 1000, 1000, 20_000, 1000, 1000).secondsFor(10)).toBe(10);
});

test("a change of pace is followed", () => {
  expect(paceOf(...Array<number>(100).fill(100), ...Array<number>(40).fill(1000)).secondsFor(10)).toBe(10);
});

test("steps that are reported together count each", () => {
  const pace = new Pace();
  pace.begin({ step: 0, tokens: 0, at: 0 });
  for (const step of [10, 20, 30]) pace.add({ step, tokens: step, at: step * 10 });
  expect(pace.secondsFor(100)).toBe(1);
});
