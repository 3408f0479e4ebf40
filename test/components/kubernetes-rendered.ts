/* eslint-disable @typescript-eslint/no-misused-spread -- objects of the API are plain data here, whatever classes the client has for them */
import { runtime } from "@pulumi/pulumi";
import { vi } from "vitest";
import type { V1Job } from "@kubernetes/client-node";
import { AgentPod } from "../../hosts/kubernetes-agent-pod.ts";
import { Cluster } from "../../hosts/kubernetes-cluster.ts";
import { kubernetesTiming } from "../../hosts/kubernetes-timing.ts";
import type { Experiment as ExperimentConfig } from "../../recipe/experiment.ts";
import type { HostSpec } from "../../recipe/host.ts";
import { hostSpecOf } from "../../recipe/target-host.ts";
import { declaredOutputs } from "./declared-outputs.ts";
import { FakeCluster } from "../hosts/fake-cluster.ts";
import type { Manifest } from "./kubernetes-rules.ts";

const declared: Manifest[] = [];

/** The SDK's mark of a secret in what it sends (@pulumi/pulumi, runtime/rpc.ts: specialSigKey). */
const mark = "4dabf18193072939515e22adb298388d";

/** What a provider that takes no secrets gets: their values. */
function withSecretsTold(given: object): unknown {
  return JSON.parse(JSON.stringify(given), (_key, value: unknown) =>
    typeof value === "object" && value !== null && mark in value ? (value as { value?: unknown }).value : value,
  );
}

await runtime.setMocks(
  {
    newResource: ({ type, name, inputs }) => {
      const given = inputs as object;
      if (type.startsWith("kubernetes:")) declared.push(withSecretsTold(given) as Manifest);
      return { id: `${name}-id`, state: { ...given, ...declaredOutputs[type.split(":").at(-1) ?? ""] } };
    },
    call: ({ inputs }) => inputs as Record<string, unknown>,
  },
  "tuneup",
  "exp",
);

const { Experiment } = await import("../../components/experiment.ts");
const { targetOf } = await import("../../components/target.ts");

/**
 * Every manifest that an experiment for a cluster renders to: what the program declares, and the Job that commands make for themselves.
 * `kinds`: those that are expected, by which it is known when all are there. Throws where others come, or none.
 */
export async function render(config: ExperimentConfig, kinds: readonly string[]): Promise<Manifest[]> {
  declared.length = 0;
  const host = hostSpecOf(config, {}, "exp");
  new Experiment("exp", { config, target: await targetOf("exp", host, config) });
  const kindsThere = (): string[] => declared.map(({ kind }) => kind).sort();
  await vi.waitFor(
    () => {
      const there = kindsThere();
      if (there.join() !== kinds.toSorted().join()) throw new Error(`declared: ${there.join()}`);
    },
    { timeout: 20_000 },
  );
  return [...declared, await agentJob(host)];
}

/** The Job of the Pod for commands, as it is sent to the API server. */
async function agentJob(host: HostSpec): Promise<Manifest> {
  if (host.kind !== "kubernetes") throw new Error(`a cluster is expected, got ${host.kind}`);
  const fake = await FakeCluster.start();
  try {
    const { namespace } = fake.spec();
    const cluster = await Cluster.load({ namespace });
    await new AgentPod(cluster, host, kubernetesTiming({})).ensure();
    await cluster.close();
    const [job] = [...fake.objects.jobs.values()] as [V1Job];
    return { ...job, apiVersion: "batch/v1", kind: "Job" } as Manifest;
  } finally {
    await fake.remove();
  }
}
