import { toWire, type Wire } from "../../../provider/values.ts";
import { withSecretData } from "./inputs.ts";
import { idOf, type KubernetesObject, referenceTo } from "./objects.ts";
import { isBag, markedLike, textAt } from "./wire.ts";

/** What the state keeps of an object. */
export interface State {
  readonly id: string;
  readonly outputs: Wire;
  readonly inputs: Wire;
}

/** An object that is there and not ready: it stays in state, and the next update goes on. */
export class NotReady extends Error {
  readonly state: State;
  readonly reasons: readonly string[];

  constructor(state: State, reasons: readonly string[]) {
    super(reasons.join(" "));
    this.name = "NotReady";
    this.state = state;
    this.reasons = reasons;
  }
}

/** The output that remembers which field manager applied the object: another one would be in conflict with it. */
const managerKey = "__fieldManager";

/** The field manager that the outputs remember, undefined for imported objects. */
export function managerOf(outputs: Wire): string | undefined {
  const manager = textAt(outputs, managerKey);
  return manager === "" ? undefined : manager;
}

/** The state of a live object: what the inputs mark as secret is secret in the outputs too. */
export function stateOf(live: KubernetesObject, inputs: Wire, manager: string): State {
  const metadata = without(live.metadata, ["managedFields"]);
  const outputs = markedLike({ ...live, metadata }, inputs) as Wire;
  return {
    id: idOf(referenceTo(live)),
    outputs: toWire({ ...(live.kind === "Secret" ? withSecretData(outputs, inputs) : outputs), [managerKey]: manager }),
    inputs,
  };
}

/** Inputs that would make the object as it is, for an import. */
export function importedInputs(live: KubernetesObject): Wire {
  const ofServer = ["creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"];
  return { ...without(live, ["status"]), metadata: without(live.metadata, ofServer) };
}

/** A property bag of the wire; anything else counts as an empty one. */
export function bagOf(value: unknown): Wire {
  return isBag(value) ? value : {};
}

function without(bag: Wire, keys: readonly string[]): Wire {
  return Object.fromEntries(Object.entries(bag).filter(([key]) => !keys.includes(key)));
}
