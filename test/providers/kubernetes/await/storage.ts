import type { Api } from "../api.ts";
import type { KubernetesObject } from "../objects.ts";
import { textAt } from "../../protocol/wire.ts";
import type { Readiness } from "./look.ts";

/** Bound, or of a class that waits for the first Pod. */
export async function isClaimReady(live: KubernetesObject, api: Api): Promise<Readiness> {
  const phase = textAt(live, "status", "phase");
  const className = textAt(live, "spec", "storageClassName");
  if (phase === "Bound") return { ready: true, progress: "bound", reasons: [] };
  const found = await api.get({
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    name: className === "" ? "-" : className,
    namespace: undefined,
  });
  if (textAt(found, "volumeBindingMode") === "WaitForFirstConsumer" && phase === "Pending") {
    return { ready: true, progress: "waits for the first Pod", reasons: [] };
  }
  const missing = found === undefined ? `there is no storage class ${className === "" ? "by default" : className}` : "";
  const progress = `it is ${phase === "" ? "new" : phase}${missing === "" ? "" : `: ${missing}`}`;
  return { ready: false, progress, reasons: [`The volume is not bound; ${progress}.`] };
}

/** Available, or bound to a claim. */
export function isVolumeReady(live: KubernetesObject): Readiness {
  const phase = textAt(live, "status", "phase");
  const ready = phase === "Available" || phase === "Bound";
  return { ready, progress: phase, reasons: ready ? [] : [`The volume is ${phase === "" ? "new" : phase}.`] };
}
