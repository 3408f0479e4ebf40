import { Fault } from "../recipe/fault.ts";
import type { Wire } from "./values.ts";

/** Version of the outputs that this release writes into the state. */
export const outputVersion = 1;

/**
 * State written by an older release, as this one understands it: a release never trains again because it is new.
 * Version 1 is the first. Throws for state of a newer release.
 */
export function migrate(state: Wire): Wire {
  const version = state["schemaVersion"];
  if (typeof version === "number" && version > outputVersion) {
    throw new Fault({
      code: "state-newer",
      message: `The stack's state was written by a newer tuneup (version ${version} of its records; this one knows ${outputVersion}).`,
      next: "Update this checkout.",
    });
  }
  return state;
}
