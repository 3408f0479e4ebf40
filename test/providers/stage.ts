import { afterEach, beforeEach } from "vitest";
import type { types } from "@pulumi/kubernetes";
import { EngineLog } from "../../provider/engine-log.ts";
import { FakeKubernetes } from "../fixtures/fake-kubernetes.ts";
import { CallFault, type Kept, ProviderClient } from "../fixtures/provider-client.ts";
import { KubernetesProvider } from "./kubernetes/provider.ts";
import { serve } from "./protocol/server.ts";

/** A property bag. */
export type Bag = Record<string, unknown>;

/** What each test gets anew: the API server, the engine's side of a provider that is configured for it, the kubeconfig. */
export const stage = {} as { fake: FakeKubernetes; engine: ProviderClient; kubeconfig: string };

/** Sets `stage` before each test of the file, with a provider that polls fast. */
export function setUpStage(): void {
  let close = (): void => undefined;
  beforeEach(async () => {
    stage.fake = new FakeKubernetes();
    stage.kubeconfig = await stage.fake.start();
    const served = await serve(new KubernetesProvider(new EngineLog(undefined), { pollMs: 5, retryMs: 5 }));
    close = () => served.close();
    stage.engine = new ProviderClient(served.port);
    await stage.engine.configure({ kubeconfig: stage.kubeconfig });
  });
  afterEach(async () => {
    await stage.engine.cancel();
    stage.engine.close();
    close();
    await stage.fake.stop();
  });
}

/** URN of the resource `thing` of a type like `core/v1:Secret`. */
export function urn(type: string): string {
  return `urn:pulumi:exp::tuneup::tuneup:components:Experiment$kubernetes:${type}::thing`;
}

export const labels = { app: "endpoint" };
export const container = { name: "main", image: "registry/image@sha256:0", resources: { limits: { cpu: "1000m" } } };

export const deployment = {
  metadata: { name: "endpoint" },
  spec: {
    replicas: 1,
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: { containers: [container], automountServiceAccountToken: false } },
  },
} satisfies types.input.apps.v1.Deployment;
export const rolledOut = { observedGeneration: 9, replicas: 1, updatedReplicas: 1, availableReplicas: 1 };

export const job = {
  metadata: { name: "train" },
  spec: { backoffLimit: 0, template: { spec: { restartPolicy: "Never", containers: [container] } } },
} satisfies types.input.batch.v1.Job;

export const configMap = {
  metadata: { name: "agent" },
  data: { "agent.mjs": "1" },
} satisfies types.input.core.v1.ConfigMap;

/** Checked and created, as `up` does it. */
export async function made(type: string, given: Bag, timeout = 0): Promise<Kept> {
  return await stage.engine.create(urn(type), await stage.engine.check(urn(type), given), timeout);
}

/** What stays in state of a call that must fail with a partial result. */
export async function halfDone(call: Promise<unknown>): Promise<NonNullable<CallFault["kept"]>> {
  const fault = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(fault instanceof CallFault) || fault.kept === undefined) throw new Error(`no partial result: ${String(fault)}`);
  return fault.kept;
}

/** The part of a bag at that path. */
export function part(bag: Bag, ...path: string[]): unknown {
  return path.reduce<unknown>((at, key) => (at as Bag | undefined)?.[key], bag);
}
