/* eslint-disable @typescript-eslint/no-unsafe-class-instance-assignment -- objects of the API are plain data here, whatever classes the client has for them */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { V1Job, V1PodStatus } from "@kubernetes/client-node";
import { connect } from "../../hosts/connect.ts";
import type { CommandOptions } from "../../hosts/host.ts";
import { FakeCluster } from "./fake-cluster.ts";
import { ended, running, unschedulable, waitingFor } from "./fake-objects.ts";

let cluster: FakeCluster;
const run = "demo-0123456789ab";
const at = "2026-01-01T00:00:00.000Z";
const status = {
  schemaVersion: 1,
  run,
  state: "training",
  attempt: 1,
  step: 1,
  totalSteps: 2,
  declaredAt: at,
  updatedAt: at,
};
const spec = {
  ...{ schemaVersion: 1 as const, experiment: "demo", run, arguments: {}, environment: "/e", config: {} },
  ...{ device: "cpu" as const, artifact: "adapter" as const },
};
const trainer = { "tuneup.dev/role": "trainer", "tuneup.dev/run": run };
const server = { "tuneup.dev/role": "endpoint", "tuneup.dev/volume": "tuneup-data", "tuneup.dev/experiment": "demo" };
const facts = {
  status: {
    schemaVersion: 1,
    experiment: "demo",
    run,
    state: "starting",
    host: "0.0.0.0",
    port: 8400,
    models: [],
    updatedAt: at,
  },
  ...{ url: "http://x:8400", apiKey: "key", models: ["demo"] },
};

beforeEach(async () => {
  cluster = await FakeCluster.start();
  vi.stubEnv("TUNEUP_KUBERNETES_POLL_MS", "20");
});
afterEach(() => cluster.remove());

function addJob(podStatus: V1PodStatus | undefined, suspend = false): V1Job {
  const template = { metadata: { labels: { ...trainer } } };
  const job = { metadata: { name: run, labels: {} }, spec: { suspend, template }, status: {} } as unknown as V1Job;
  cluster.objects.jobs.set(run, job);
  if (podStatus !== undefined)
    cluster.objects.addPod("trainer", { ...trainer, "batch.kubernetes.io/job-name": run }, podStatus);
  return job;
}

/** Waits for the run, which is not told to end; `said`: what was heard meanwhile. */
async function waitFor(options: CommandOptions = {}) {
  cluster.stubs.set("run-wait", { lines: [], stays: true });
  const host = await connect(cluster.spec());
  const said: string[] = [];
  const waiting = host.run("run-wait", { run }, { onProgress: ({ message }) => said.push(message), ...options });
  return { said, waiting };
}

describe("waiting for a run", () => {
  it.each([
    [
      "PATIENCE_MS",
      unschedulable("0/1 nodes: 1 Insufficient nvidia.com/gpu."),
      "pod-unschedulable",
      /^The training waits for a node: 0\/1 nodes: 1 Insufficient nvidia\.com\/gpu\.$/,
    ],
    [
      "START_MS",
      waitingFor("ImagePullBackOff", "Back-off pulling image"),
      "image-unavailable",
      /^The training waits for its image: Back-off pulling image\.$/,
    ],
    ["START_MS", waitingFor("CreateContainerConfigError", "runAsNonRoot"), "pod-unstartable", /runAsNonRoot/],
    ["START_MS", unschedulable('persistentvolumeclaim "tuneup-data" not found'), "volume-unavailable", /not found/],
  ])("tells why its Pod does not run, and gives up after %s (%#)", async (patience, podStatus, code, message) => {
    vi.stubEnv(`TUNEUP_KUBERNETES_${patience}`, "300");
    addJob(podStatus);
    const { said, waiting } = await waitFor();
    await expect(waiting).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
    expect(said.at(-1)).toMatch(/^the training /);
  });

  it("tells what the volume's claim says, and what mounts nothing", async () => {
    vi.stubEnv("TUNEUP_KUBERNETES_START_MS", "300");
    const event = (kind: string, name: string, reason: string, message: string) =>
      ({ metadata: {}, involvedObject: { kind, name }, reason, message }) as never;
    cluster.objects.events = [
      event("PersistentVolumeClaim", "tuneup-data", "ProvisioningFailed", 'storageclass "fast" not found'),
    ];
    addJob(unschedulable("pod has unbound immediate PersistentVolumeClaims"));
    await expect((await waitFor()).waiting).rejects.toMatchObject({
      message: 'The training waits for its volume: storageclass "fast" not found.',
    });
    cluster.objects.pods.get("trainer")!.status = { phase: "Pending" };
    cluster.objects.events = [event("Pod", "trainer", "FailedMount", "mount failed")];
    await expect((await waitFor()).waiting).rejects.toMatchObject({ code: "volume-unavailable" });
  });

  it("ends with the run, whatever its Pods did before", async () => {
    vi.stubEnv("TUNEUP_KUBERNETES_PATIENCE_MS", "60000");
    addJob(unschedulable("0/1 nodes"));
    const manifest = {
      schemaVersion: 1,
      run,
      completedAt: at,
      attempts: 1,
      step: 2,
      totalSteps: 2,
      trainSeconds: 1,
      artifact: "adapter",
      files: [],
    };
    const { said, waiting } = await waitFor({
      onProgress: ({ message }) => {
        said.push(message);
        if (!message.includes("waits for a node")) return;
        cluster.stubs.set("run-wait", {
          lines: [{ type: "result", value: { status: { ...status, state: "complete" }, manifest } }],
        });
        cluster.cutAll();
      },
    });
    expect(await waiting).toMatchObject({ manifest: { step: 2 } });
  });

  it("says why a Job was given up, and that one is missing", async () => {
    vi.stubEnv("TUNEUP_KUBERNETES_START_MS", "300");
    addJob(ended("OOMKilled", 137));
    cluster.objects.fail(run, "Job has reached the specified backoff limit");
    await expect((await waitFor()).waiting).rejects.toMatchObject({
      code: "job-failed",
      property: "kubernetes.memory",
      message: `The cluster gave up run ${run}: Job has reached the specified backoff limit. Its last Pod trainer: it ran out of memory (OOMKilled).`,
    });
    cluster.objects.jobs.clear();
    await expect((await waitFor()).waiting).rejects.toMatchObject({ code: "job-missing" });
  });
});

describe("stopping and going on", () => {
  it("suspends the Job, waits for its Pods and lets the agent write it down; the next declaration resumes it", async () => {
    const job = addJob(running);
    cluster.stubs.set("run-stop", { lines: [{ type: "result", value: { status: { ...status, state: "stopped" } } }] });
    cluster.stubs.set("run-declare", {
      lines: [{ type: "result", value: { status: { ...status, state: "queued" } } }],
    });
    const host = await connect(cluster.spec());
    expect(await host.run("run-stop", { run })).toMatchObject({ status: { state: "stopped" } });
    expect(job.spec?.suspend).toBe(true);
    expect(cluster.objects.pods.has("trainer")).toBe(false);
    await host.run("run-declare", { spec });
    expect(job.spec?.suspend).toBe(false);
    // Nothing of it: the first `up` declares before there is a Job.
    cluster.objects.jobs.delete(run);
    expect(await host.run("run-declare", { spec })).toMatchObject({ status: { state: "queued" } });
  });

  it("makes a Job again that was given up", async () => {
    const job = addJob(ended("Error", 1));
    job.metadata!.labels = { mine: "yes", "batch.kubernetes.io/job-name": run };
    cluster.objects.fail(run, "backoff");
    cluster.stubs.set("run-declare", {
      lines: [{ type: "result", value: { status: { ...status, state: "queued" } } }],
    });
    await (await connect(cluster.spec())).run("run-declare", { spec });
    const made = cluster.objects.jobs.get(run)!;
    expect(made).not.toBe(job);
    expect(made.metadata?.labels).toEqual({ mine: "yes" });
    expect(made.status).toEqual({});
    expect([...cluster.objects.pods.keys()]).toContain(`${run}-pod`);
  });
});

describe("an endpoint in Pods of its own", () => {
  it("is read in its Pod; where none runs, the volume and the cluster tell", async () => {
    cluster.stubs.set("endpoint-read", { lines: [{ type: "result", value: { ...facts, spec: endpointSpec } }] });
    const host = await connect(cluster.spec());
    expect((await host.run("endpoint-read", { experiment: "demo" }))?.status.detail).toBe(
      "no Pod of the endpoint is there",
    );
    const pod = cluster.objects.addPod("server", server, waitingFor("ErrImagePull", "no such image"));
    expect((await host.run("endpoint-read", { experiment: "demo" }))?.status.detail).toBe(
      "Pod server does not run: no such image",
    );
    pod.status = running;
    expect((await host.run("endpoint-read", { experiment: "demo" }))?.status.detail).toBeUndefined();
  });

  it("is waited for until a Pod runs, and then by its gateway", async () => {
    cluster.stubs.set("endpoint-wait", { lines: [{ type: "result", value: facts }] });
    const pod = cluster.objects.addPod("server", server, unschedulable("0/1 nodes"));
    const host = await connect(cluster.spec());
    const said: string[] = [];
    const onProgress = ({ message }: { message: string }): void => {
      said.push(message);
      pod.status = running;
    };
    expect(await host.run("endpoint-wait", { experiment: "demo" }, { onProgress })).toMatchObject({ apiKey: "key" });
    expect(said).toEqual(["the endpoint waits for a node: 0/1 nodes"]);
  });
});

const endpointSpec = {
  ...{ schemaVersion: 1, experiment: "demo", run, environment: "/e", device: "cpu", weights: "/w", template: "qwen" },
  ...{
    arguments: {},
    artifact: "adapter",
    engine: "huggingface",
    base: "no",
    engineBytes: 1,
    host: "0.0.0.0",
    port: 8400,
  },
  limits: { requestsPerMinute: 1, queue: 1, bodyBytes: 1, maxTokens: 1 },
};
