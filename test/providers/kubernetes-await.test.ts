import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { types } from "@pulumi/kubernetes";
import { startFakeEngine } from "../fixtures/fake-engine.ts";
import { ProviderClient } from "../fixtures/provider-client.ts";
import { type Bag, deployment, halfDone, job, labels, made, part, rolledOut, setUpStage, stage, urn } from "./stage.ts";

setUpStage();

describe("readiness", () => {
  it("waits for a rollout, old replicas included", async () => {
    stage.fake.controller = () => ({ ...rolledOut, replicas: 2 });
    const creating = made("apps/v1:Deployment", deployment);
    await stage.fake.seen("PATCH");
    await stage.fake.seen("GET", 3);
    stage.fake.put({ ...stage.fake.stored("Deployment", "default", "endpoint"), status: rolledOut });
    expect(part((await creating).outputs, "status", "availableReplicas")).toBe(1);
  });

  it("waits for a rollout of the newest generation only", async () => {
    stage.fake.controller = ({ metadata }) => ({ ...rolledOut, observedGeneration: metadata["generation"] });
    const kept = await made("apps/v1:Deployment", deployment);
    stage.fake.controller = ({ metadata }) => ({
      ...rolledOut,
      observedGeneration: Number(metadata["generation"]) - 1,
    });
    const news = JSON.parse(JSON.stringify(kept.inputs).replace("sha256:0", "sha256:1")) as Bag;
    const failed = await halfDone(stage.engine.update(urn("apps/v1:Deployment"), kept, news, 0.05));
    expect(failed.reasons[0]).toContain("Deployment default/endpoint is not ready: 0.05 s have passed");
    expect(failed.inputs).toEqual(news);
  });

  it.each([
    [
      {
        conditions: [
          { type: "PodScheduled", status: "False", reason: "Unschedulable", message: "0/1 nodes are available" },
        ],
      },
      "Pod default/endpoint-1: Unschedulable: 0/1 nodes are available",
    ],
    [
      {
        containerStatuses: [
          { name: "main", state: { waiting: { reason: "ImagePullBackOff", message: "no such image" } } },
        ],
      },
      "Pod default/endpoint-1: container main: ImagePullBackOff: no such image",
    ],
    [
      { containerStatuses: [{ name: "main", state: { terminated: { reason: "OOMKilled", exitCode: 137 } } }] },
      "Pod default/endpoint-1: container main ended with exit code 137 (OOMKilled)",
    ],
  ])("fails with the Pod's own reason, and goes on at the next update: %j", async (status, reason) => {
    stage.fake.put({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "endpoint-1", namespace: "default", labels },
      status: { phase: "Pending", ...status },
    });
    const annotated = {
      ...deployment,
      metadata: { name: "endpoint", annotations: { "pulumi.com/timeoutSeconds": "0" } },
    };
    const kept = await halfDone(made("apps/v1:Deployment", annotated));
    expect(kept.id).toBe("default/endpoint");
    expect(kept.reasons).toContain(reason);
    const refreshed = await halfDone(stage.engine.read(urn("apps/v1:Deployment"), kept));
    expect(refreshed.reasons).toContain(reason);
    stage.fake.controller = () => rolledOut;
    expect(await stage.engine.update(urn("apps/v1:Deployment"), kept, kept.inputs)).toMatchObject({ id: kept.id });
  });

  it("gives up a Job that failed at once, and waits for none with skipAwait", async () => {
    const conditions = [{ type: "Failed", status: "True", reason: "PodFailurePolicy", message: "exit code 2" }];
    stage.fake.controller = () => ({ conditions });
    const kept = await halfDone(made("batch/v1:Job", job));
    expect(kept.reasons).toContain("PodFailurePolicy: exit code 2");
    stage.fake.controller = () => undefined;
    const skipped = { ...job, metadata: { name: "other", annotations: { "pulumi.com/skipAwait": "true" } } };
    expect((await made("batch/v1:Job", skipped)).id).toBe("default/other");
    stage.fake.controller = () => ({ conditions: [{ type: "Complete", status: "True" }] });
    expect((await made("batch/v1:Job", { ...job, metadata: { name: "third" } })).id).toBe("default/third");
  });

  it("takes a claim that is bound, or whose class waits for a Pod, and names a class that is missing", async () => {
    const claim = (name: string, storageClassName: string) => ({ metadata: { name }, spec: { storageClassName } });
    stage.fake.controller = () => ({ phase: "Bound" });
    await made("core/v1:PersistentVolumeClaim", claim("a", "none"));
    stage.fake.controller = () => ({ phase: "Pending" });
    stage.fake.put({
      apiVersion: "storage.k8s.io/v1",
      kind: "StorageClass",
      metadata: { name: "late" },
      volumeBindingMode: "WaitForFirstConsumer",
    });
    await made("core/v1:PersistentVolumeClaim", claim("b", "late"));
    const kept = await halfDone(made("core/v1:PersistentVolumeClaim", claim("c", "wrong"), 0.05));
    expect(kept.reasons[1]).toContain("there is no storage class wrong");
  });

  it("waits for a Service's Pods, but not behind one without selector", async () => {
    const service = {
      metadata: { name: "endpoint" },
      spec: { selector: labels, ports: [{ port: 80 }] },
    } satisfies types.input.core.v1.Service;
    await made("core/v1:Service", { metadata: { name: "outside" }, spec: { ports: [{ port: 80 }] } });
    const kept = await halfDone(made("core/v1:Service", service, 0.05));
    expect(kept.reasons[1]).toContain("no ready Pod");
    stage.fake.put({
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: "endpoint-1", namespace: "default", labels: { "kubernetes.io/service-name": "endpoint" } },
      endpoints: [{ conditions: { ready: true } }],
    });
    expect(await stage.engine.read(urn("core/v1:Service"), kept)).toMatchObject({ id: "default/endpoint" });
  });

  it("waits for a condition that an annotation names", async () => {
    const annotations = { "pulumi.com/waitFor": "condition=Complete" };
    stage.fake.controller = () => ({ conditions: [{ type: "Complete", status: "False", message: "1 of 2 nodes" }] });
    const given = { metadata: { name: "a", annotations }, spec: {} };
    const kept = await halfDone(made("trainer.kubeflow.org/v1alpha1:TrainJob", given, 0.05));
    expect(kept.reasons[1]).toContain("False: 1 of 2 nodes");
  });

  it("ends its waits at Ctrl-C, with the object in state", async () => {
    const creating = halfDone(made("batch/v1:Job", job));
    await stage.fake.seen("PATCH");
    await stage.engine.cancel();
    const kept = await creating;
    expect(kept).toMatchObject({ id: "default/train" });
    expect(kept.reasons[0]).toContain("the wait was cancelled");
  });
});

describe("the plugin", () => {
  it("answers the SDK's version, tells progress and warnings, and ends with its engine", async () => {
    const log = await startFakeEngine();
    const path = fileURLToPath(new URL("kubernetes/pulumi-resource-kubernetes", import.meta.url));
    const plugin = spawn(path, [log.address], { stdio: ["ignore", "pipe", "inherit"] });
    const [port] = (await once(createInterface(plugin.stdout), "line")) as [string];
    const client = new ProviderClient(Number(port));
    expect(await client.version()).toBe("4.34.2");
    await client.configure({ kubeconfig: stage.kubeconfig });
    stage.fake.warnings = ["would violate PodSecurity"];
    const inputs = await client.check(urn("batch/v1:Job"), job);
    const creating = client.create(urn("batch/v1:Job"), inputs);
    const line = await log.told(({ ephemeral }) => ephemeral);
    expect(line).toMatchObject({ urn: urn("batch/v1:Job"), message: "Pods: 0 active, 0 succeeded, 0 failed" });
    expect(log.lines).toContainEqual(
      expect.objectContaining({ isWarning: true, message: "would violate PodSecurity" }),
    );
    stage.fake.put({
      ...stage.fake.stored("Job", "default", "train"),
      status: { conditions: [{ type: "Complete", status: "True" }] },
    });
    await creating;
    client.close();
    log.stop();
    expect(await once(plugin, "exit")).toEqual([1, null]);
  });
});
