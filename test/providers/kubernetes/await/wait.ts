import { setTimeout as after } from "node:timers/promises";
import { type Api, isPassing } from "../api.ts";
import { type KubernetesObject, named, type Reference } from "../objects.ts";
import { listAt, textAt } from "../../protocol/wire.ts";
import type { Readiness } from "./look.ts";
import type { Awaited } from "./readiness.ts";

/** How to wait. */
export interface Patience {
  readonly seconds: number;
  /** Between two looks. */
  readonly pollMs: number;
  /** Ends the wait: Ctrl-C. */
  readonly signal: AbortSignal;
  readonly onProgress: (message: string) => void;
}

/** What came of a wait: the object as last seen, and why it is not ready. */
export interface Waited {
  readonly live: KubernetesObject;
  readonly reasons: readonly string[];
}

/** Waits until the object is ready, fails for good, or patience ends. An API server that does not answer is waited for too. */
export async function waitUntilReady(
  api: Api,
  first: KubernetesObject,
  reference: Reference,
  look: Awaited["look"],
  patience: Patience,
): Promise<Waited> {
  let live = first;
  let last: Readiness = { ready: false, progress: "", reasons: [] };
  const why = await repeat(patience, async () => {
    const now = await api.get(reference);
    if (now === undefined) return "it was deleted meanwhile";
    live = now;
    last = await look(now, api);
    if (last.ready) return undefined;
    patience.onProgress(last.progress);
    return last.failed === true ? "it has failed" : again;
  });
  if (why === undefined) return { live, reasons: [] };
  return { live, reasons: [`${named(reference)} is not ready: ${why} (${last.progress}).`, ...last.reasons] };
}

/** Waits until the object is gone. Gives the sentence why it is not, undefined if it is. */
export async function waitUntilGone(
  api: Api,
  reference: Reference,
  uid: string,
  patience: Patience,
): Promise<string | undefined> {
  let last: KubernetesObject | undefined;
  const why = await repeat(patience, async () => {
    const now = await api.get(reference);
    if (now === undefined || textAt(now, "metadata", "uid") !== uid) return undefined;
    last = now;
    patience.onProgress("is being deleted");
    return again;
  });
  if (why === undefined) return undefined;
  const finalizers = listAt(last, "metadata", "finalizers").map(String);
  const holds = finalizers.length === 0 ? "" : ` Its finalizers are not done: ${finalizers.join(", ")}.`;
  // A namespace says in its conditions what of it is left.
  const left = reference.kind === "Namespace" ? listAt(last, "status", "conditions") : [];
  const content = left.filter((one) => textAt(one, "status") === "True").map((one) => ` ${textAt(one, "message")}`);
  return `${named(reference)} is marked for deletion and still there: ${why}.${holds}${content.join("")}`;
}

const again = Symbol("again");

/** Looks again and again. Gives why it ended; undefined is success. */
async function repeat(
  { seconds, pollMs, signal, onProgress }: Patience,
  look: () => Promise<string | undefined | typeof again>,
): Promise<string | undefined> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    try {
      const found = await look();
      if (found !== again) return found;
    } catch (thrown) {
      if (!isPassing(thrown)) throw thrown;
      onProgress("the API server can't be asked");
    }
    if (signal.aborted) return "the wait was cancelled";
    if (performance.now() >= end) return `${seconds} s have passed`;
    await after(pollMs, undefined, { signal }).catch(() => undefined);
  }
}
