import type { EngineEvent } from "./automation.ts";

/** Outputs of a stack by name. Secret ones are masked: the engine's events have none. */
export type Outputs = Readonly<Record<string, unknown>>;

/** What came of an update, taken from the engine's events on its way. */
export class UpdateOutcome {
  #outputs: Outputs = {};
  #changed = false;

  /** Outputs of the stack as the program gave them; none where it did not come so far. */
  get outputs(): Outputs {
    return this.#outputs;
  }

  /** Is anything another than before? */
  get changed(): boolean {
    return this.#changed;
  }

  /** Takes the next event of the engine. */
  take({ resOutputsEvent, summaryEvent }: EngineEvent): void {
    const { type, new: state } = resOutputsEvent?.metadata ?? {};
    // The program's outputs come after those of the refresh, which has the ones before.
    if (type === "pulumi:pulumi:Stack" && state !== undefined) this.#outputs = state.outputs as Outputs;
    if (summaryEvent !== undefined)
      this.#changed = Object.keys(summaryEvent.resourceChanges).some((operation) => operation !== "same");
  }
}
