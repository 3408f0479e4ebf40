import { type KubernetesObject, pulumiAnnotation } from "../objects.ts";
import { listAt, textAt } from "../../protocol/wire.ts";
import type { Look, Readiness } from "./look.ts";
import { isIngressReady, isServiceReady } from "./network.ts";
import { isClaimReady, isVolumeReady } from "./storage.ts";
import { isDaemonSetReady, isDeploymentReady, isJobReady, isPodReady, isStatefulSetReady } from "./workloads.ts";

/** What to wait for, and how long. */
export interface Awaited {
  readonly look: Look;
  /** Seconds that the official provider waits by default. */
  readonly seconds: number;
}

/** Kinds that are waited for; every other one is ready when the server has it. */
const awaited: Readonly<Record<string, Awaited>> = {
  "apps/v1/DaemonSet": { look: isDaemonSetReady, seconds: 600 },
  "apps/v1/Deployment": { look: isDeploymentReady, seconds: 600 },
  "apps/v1/StatefulSet": { look: isStatefulSetReady, seconds: 600 },
  "batch/v1/Job": { look: isJobReady, seconds: 600 },
  "networking.k8s.io/v1/Ingress": { look: isIngressReady, seconds: 600 },
  "v1/PersistentVolume": { look: isVolumeReady, seconds: 300 },
  "v1/PersistentVolumeClaim": { look: isClaimReady, seconds: 300 },
  "v1/Pod": { look: isPodReady, seconds: 600 },
  "v1/Service": { look: isServiceReady, seconds: 600 },
};

/** What to wait for, undefined where there is nothing: `pulumi.com/skipAwait`, `pulumi.com/waitFor: condition=Type`, the kind. */
export function awaitedOf(inputs: KubernetesObject): Awaited | undefined {
  if (pulumiAnnotation(inputs, "skipAwait") === "true") return undefined;
  const [, type, status = "True"] =
    /^condition=([^=]+)(?:=(.+))?$/.exec(pulumiAnnotation(inputs, "waitFor") ?? "") ?? [];
  if (type !== undefined) return { look: (live) => hasCondition(live, type, status), seconds: 600 };
  return awaited[`${inputs.apiVersion}/${inputs.kind}`];
}

function hasCondition(live: KubernetesObject, type: string, status: string): Readiness {
  const found = listAt(live, "status", "conditions").find((one) => textAt(one, "type") === type);
  const ready = textAt(found, "status") === status;
  const now = found === undefined ? "not reported" : `${textAt(found, "status")}: ${textAt(found, "message")}`;
  const progress = `waits for condition ${type}=${status}; it is ${now}`;
  return { ready, progress, reasons: ready ? [] : [progress] };
}
