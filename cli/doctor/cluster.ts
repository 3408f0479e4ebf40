import type { Checkup } from "../../hosts/cluster-checkup.ts";
import { asFault } from "../../recipe/fault.ts";
import type { KubernetesHostSpec } from "../../recipe/host.ts";
import type { Say } from "../language/say.ts";
import type { Check } from "./check.ts";

/** Oldest minor version of Kubernetes 1 whose API server carries commands as ours are sent. */
const leastMinor = 30;

/**
 * Is there a kubeconfig with the context, does its cluster answer, and may the user do there what `up` does? Asks the API alone: no Pod is
 * started.
 */
export async function clusterChecks(spec: KubernetesHostSpec, tell: Say): Promise<Check[]> {
  const startedAt = performance.now();
  const name = tell("doctor.name.cluster");
  try {
    const { checkUp } = await import("../../hosts/cluster-checkup.ts");
    const facts = await checkUp(spec);
    const ms = Math.round(performance.now() - startedAt);
    const detail = `${facts.context} (${facts.server}): ${tell("doctor.host.ok", { ms })}`;
    return [
      { name, state: "ok", detail },
      version(facts, tell),
      rights(facts, spec, tell),
      volume(facts, spec, tell),
      gpus(facts, spec, tell),
    ];
  } catch (thrown) {
    const fault = asFault(thrown);
    if (fault.blame === "bug") throw thrown;
    return [
      { name, state: "missing", detail: fault.message, ...(fault.next === undefined ? {} : { next: fault.next }) },
    ];
  }
}

function version({ version: found }: Checkup, tell: Say): Check {
  const [major = 0, minor = 0] = found.split(".").map((part) => Number.parseInt(part, 10));
  const isRecent = major > 1 || (major === 1 && minor >= leastMinor);
  if (isRecent) return { name: "kubernetes", state: "ok", detail: found };
  const minimum = `1.${leastMinor}`;
  const detail = tell("doctor.kubernetes.old", { found, minimum });
  return { name: "kubernetes", state: "missing", detail, next: tell("doctor.kubernetes.next") };
}

function rights({ refused }: Checkup, { namespace }: KubernetesHostSpec, tell: Say): Check {
  const name = tell("doctor.name.rights");
  if (refused.length === 0) return { name, state: "ok", detail: tell("doctor.rights.ok", { namespace }) };
  const lacking = refused.map(({ verb, resource }) => `${verb} ${resource}`).join(", ");
  const detail = tell("doctor.rights.none", { namespace, lacking });
  return { name, state: "missing", detail, next: tell("doctor.rights.next") };
}

function volume(
  { claimBytes, classes }: Checkup,
  { claim, storageClassName: wanted }: KubernetesHostSpec,
  tell: Say,
): Check {
  const name = tell("doctor.name.volume");
  if (claimBytes !== undefined) {
    const size = `${(claimBytes / 1e9).toFixed(0)} GB`;
    return { name, state: "ok", detail: tell("doctor.volume.there", { claim, size }) };
  }
  if (classes === undefined) return { name, state: "note", detail: tell("doctor.volume.unseen") };
  const { names, standard } = classes;
  const taken = wanted ?? standard;
  if (taken !== undefined && (taken === "" || names.includes(taken))) {
    return { name, state: "ok", detail: tell("doctor.volume.class", { claim, class: taken || "-" }) };
  }
  const others = names.join(", ") || "-";
  const detail =
    wanted === undefined ? tell("doctor.volume.standard", { others }) : tell("doctor.volume.none", { wanted, others });
  return { name, state: "missing", detail, next: tell("doctor.volume.next") };
}

function gpus({ nodes }: Checkup, { gpuResource: resource }: KubernetesHostSpec, tell: Say): Check {
  const name = "gpu";
  if (nodes === undefined) return { name, state: "note", detail: tell("doctor.nodes.unseen") };
  const { count, withDevices } = nodes;
  if (withDevices.length === 0) return { name, state: "note", detail: tell("doctor.nodes.none", { count, resource }) };
  const each = withDevices.map((node) => `${node.name}: ${node.devices} × ${node.product ?? resource}`);
  return { name, state: "ok", detail: each.join(tell("doctor.gpu.between")) };
}
