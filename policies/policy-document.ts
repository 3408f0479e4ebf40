import { type Inputs, mapsAt } from "./rule.ts";

/** Statements of an IAM policy, which is a JSON text or a map. None for what is neither: it may not be known yet in a preview. */
export function statementsOf(policy: unknown): readonly Inputs[] {
  const document = typeof policy === "string" ? parsed(policy) : policy;
  return typeof document === "object" && document !== null ? mapsAt(document as Inputs, "Statement") : [];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // AWS refuses it itself, with the place of the fault.
    return undefined;
  }
}
