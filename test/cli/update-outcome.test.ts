import { expect, it } from "vitest";
import type { EngineEvent } from "../../cli/automation.ts";
import { UpdateOutcome } from "../../cli/update-outcome.ts";

/** Events as Pulumi 3.259.0 sends them, without what nobody reads. */
const outputsOf = (type: string, outputs: object, op = "same") =>
  ({ resOutputsEvent: { metadata: { op, type, new: { outputs } } } }) as unknown as EngineEvent;
const summary = (resourceChanges: Record<string, number>) =>
  ({ summaryEvent: { resourceChanges } }) as unknown as EngineEvent;

function outcomeOf(...events: EngineEvent[]): UpdateOutcome {
  const outcome = new UpdateOutcome();
  for (const event of events) outcome.take(event);
  return outcome;
}

it("has the outputs that the program gave last, and those of the stack alone", () => {
  const { outputs } = outcomeOf(
    outputsOf("pulumi:pulumi:Stack", { url: "before" }, "refresh"),
    outputsOf("tuneup-host:index:ChatEndpoint", { url: "another's" }),
    outputsOf("pulumi:pulumi:Stack", { url: "now", artifact: "/here" }),
    {} as EngineEvent,
  );
  expect(outputs).toEqual({ url: "now", artifact: "/here" });
  expect(outcomeOf(summary({ same: 1 })).outputs).toEqual({});
});

it("tells whether anything is another than before", () => {
  expect(outcomeOf(summary({ same: 9 })).changed).toBe(false);
  expect(outcomeOf(summary({ same: 8, update: 1 })).changed).toBe(true);
  expect(outcomeOf(outputsOf("pulumi:pulumi:Stack", {})).changed).toBe(false);
});
