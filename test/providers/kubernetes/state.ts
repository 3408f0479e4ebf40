import { toWire, type Wire } from "../../../provider/values.ts";
import { withSecretData } from "./inputs.ts";
import { idOf, type KubernetesObject, referenceTo } from "./objects.ts";
import type { State } from "../protocol/provider.ts";
import { markedLike, textAt } from "../protocol/wire.ts";

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

function without(bag: Wire, keys: readonly string[]): Wire {
  return Object.fromEntries(Object.entries(bag).filter(([key]) => !keys.includes(key)));
}
