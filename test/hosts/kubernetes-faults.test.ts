/* eslint-disable @typescript-eslint/no-unsafe-class-instance-assignment -- objects of the API are plain data here, whatever classes the client has for them */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { V1Node } from "@kubernetes/client-node";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { connect } from "../../hosts/connect.ts";
import { onVolume } from "../../hosts/kubernetes-faults.ts";
import { Fault } from "../../recipe/fault.ts";
import { FakeCluster } from "./fake-cluster.ts";
import { unschedulable, waitingFor } from "./fake-objects.ts";

let cluster: FakeCluster;

beforeEach(async () => {
  cluster = await FakeCluster.start();
  vi.stubEnv("TUNEUP_KUBERNETES_POLL_MS", "20");
});
afterEach(() => cluster.remove());

const list = async () => (await connect(cluster.spec())).run("run-list", { experiment: "none" });

describe("a cluster that can't be reached", () => {
  it("names the contexts that there are", async () => {
    await expect(connect(cluster.spec({ context: "elsewhere" }))).rejects.toMatchObject({
      code: "context-unknown",
      property: "kubernetes.context",
      message: expect.stringMatching(/got "elsewhere"\. It has here, there\.$/) as string,
    });
    expect((await connect(cluster.spec({ context: "there" }))).description).toBe("there/demo");
  });

  it("says which kubeconfig is none", async () => {
    await writeFile(join(cluster.folder, "kubeconfig"), "{not yaml");
    await expect(connect(cluster.spec())).rejects.toMatchObject({ code: "kubeconfig-unusable" });
    vi.stubEnv("KUBECONFIG", join(cluster.folder, "nothing"));
    await expect(connect(cluster.spec())).rejects.toMatchObject({
      code: "kubeconfig-unusable",
      message: expect.stringMatching(/nothing, which is not there\.$/) as string,
    });
  });

  it("is told at once where nothing was open before", async () => {
    await cluster.down();
    await expect(connect(cluster.spec())).rejects.toMatchObject({
      code: "cluster-unreachable",
      message: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+ \(here\) can't be reached: .*ECONNREFUSED/) as string,
    });
  });

  it.each([
    [401, "Unauthorized", "cluster-auth", /does not know who you are/],
    [
      403,
      'jobs.batch is forbidden: User "me" cannot create resource "jobs" in API group "batch"',
      "cluster-forbidden",
      /may not create jobs in namespace demo/,
    ],
    [403, 'pods "x" is forbidden: exceeded quota: q', "pod-refused", /exceeded quota: q$/],
    [404, 'namespaces "demo" not found', "namespace-missing", /no namespace demo on here/],
    [422, "Job is invalid: spec", "cluster-refused", /HTTP 422.*Job is invalid: spec/],
  ])("%i %s", async (status, message, code, told) => {
    cluster.refusal = (method) => (method === "POST" ? { status, message } : undefined);
    await expect(list()).rejects.toMatchObject({ code, message: expect.stringMatching(told) as string });
  });

  it("says that commands are forbidden", async () => {
    cluster.refusal = (_method, path) => (path.endsWith("/exec") ? { status: 403, message: "" } : undefined);
    await expect(list()).rejects.toMatchObject({
      code: "cluster-forbidden",
      message: /may not exec into pods/ as never,
    });
  });

  it("is asked again while it says that it can't answer", async () => {
    let refused = 3;
    cluster.refusal = (method) =>
      method === "POST" && refused-- > 0 ? { status: 500, message: "failed calling webhook" } : undefined;
    expect(await list()).toEqual([]);
    expect(refused).toBeLessThanOrEqual(0);
  });
});

describe("a Pod for commands that does not come", () => {
  it.each([
    ["START_MS", waitingFor("ErrImagePull", "manifest unknown"), "image-unavailable"],
    ["PATIENCE_MS", unschedulable("0/1 nodes are available"), "pod-unschedulable"],
  ])("is told after %s, and its Job does not stay", async (patience, podStatus, code) => {
    vi.stubEnv(`TUNEUP_KUBERNETES_${patience}`, "200");
    cluster.objects.podStatus = podStatus;
    await expect(list()).rejects.toMatchObject({ code });
    expect(cluster.objects.jobs.size).toBe(0);
  });

  it("has no volume: then there is nothing to read, and nothing is made for that", async () => {
    cluster.objects.claims.clear();
    const host = await connect(cluster.spec());
    expect(await host.run("run-read", { run: "none" })).toBeNull();
    expect(await host.run("run-stop", { run: "none" })).toEqual({ status: null });
    await expect(host.run("run-curve", { run: "none" })).rejects.toMatchObject({ code: "claim-missing" });
    expect(cluster.objects.jobs.size).toBe(0);
  });
});

describe("preflight", () => {
  const node = (name: string, allocatable: Record<string, string>, changes: object = {}): V1Node => ({
    metadata: { name, labels: { "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3", "nvidia.com/gpu.memory": "81559" } },
    status: {
      allocatable,
      conditions: [{ type: "Ready", status: "True" }],
      nodeInfo: { architecture: "amd64" } as never,
    },
    ...changes,
  });

  it("tells what the API knows of the node that fits best, and makes nothing", async () => {
    const tainted = { spec: { taints: [{ key: "gpu", value: "yes", effect: "NoSchedule" }] } };
    cluster.objects.nodes = [
      node("small", { cpu: "3500m", memory: "16Gi" }),
      node("large", { cpu: "95", memory: "2Ti", "nvidia.com/gpu": "8" }, tainted),
    ];
    const ask = async (changes: object) => (await connect(cluster.spec(changes))).run("preflight", {});
    expect(await ask({})).toMatchObject({
      cores: 3,
      memoryBytes: 2 ** 34,
      gpus: [],
      diskFreeBytes: 30 * 2 ** 30,
      environment: null,
    });
    const facts = await ask({ tolerations: [{ key: "gpu", operator: "Exists" }] });
    expect(facts.gpus).toHaveLength(8);
    expect(facts.gpus[0]).toEqual({ name: "NVIDIA H100 80GB HBM3", memoryBytes: 81559 * 2 ** 20, driver: "" });
    expect(cluster.requests.filter((one) => !one.startsWith("GET"))).toEqual([]);
    expect(cluster.calls).toEqual([]);
  });

  it("says that the StorageClass is missing, and does without what it may not see", async () => {
    cluster.objects.claims.clear();
    const ask = async (changes: object) => (await connect(cluster.spec(changes))).run("preflight", {});
    expect((await ask({ storageClassName: "fast" })).unwritable).toBe(
      "the cluster has no StorageClass fast; it has standard",
    );
    expect((await ask({})).unwritable).toMatch(/no default StorageClass/);
    expect((await ask({ storageClassName: "standard" })).diskFreeBytes).toBe(2e10);
    cluster.refusal = (_method, path) =>
      /nodes|storageclasses/.test(path)
        ? { status: 403, message: 'User "me" cannot list resource "nodes"' }
        : undefined;
    const facts = await ask({});
    expect(facts.unwritable).toBeUndefined();
    expect(facts).toMatchObject({ memoryBytes: 0, gpus: [{ name: "GPU", memoryBytes: 0 }] });
  });

  it("says that KEDA is missing where the experiment scales by it", async () => {
    const host = await connect(cluster.spec({ keda: true }));
    await expect(host.run("preflight", {})).rejects.toMatchObject({
      code: "keda-missing",
      property: "kubernetes.endpoint.autoscaler",
    });
    expect(cluster.requests.at(-1)).toMatch(/^GET .*\/apis\/keda\.sh\/v1alpha1\/namespaces\/demo\/scaledobjects/);
  });

  it("asks a Pod for the ways out", async () => {
    cluster.objects.nodes = [node("small", { cpu: "4", memory: "16Gi" })];
    const facts = await (await connect(cluster.spec())).run("preflight", { egress: true });
    expect(facts.egress).toEqual({
      pypi: expect.any(Boolean) as boolean,
      huggingface: expect.any(Boolean) as boolean,
      modelscope: expect.any(Boolean) as boolean,
    });
    expect(facts.libc).toMatch(/glibc/);
    expect(facts.cores).toBe(4);
  });
});

describe("a volume that is too full", () => {
  const facts = {
    code: "disk-full",
    property: "storage.dataDirectory",
    message: "The disk is too full for this run, and 2.1 MB are free at /data/runs/r.",
    next: "Free some space there, or set `tuneup:storage.dataDirectory` to a larger disk.",
    blame: "infrastructure",
  } as const;

  it("is told by the key that says its size", () => {
    const told = onVolume(new Fault(facts)) as Fault;
    expect(told.toFacts()).toMatchObject({
      ...facts,
      property: "kubernetes.volume.size",
      next: expect.anything() as string,
    });
    expect(told.next).not.toContain("dataDirectory");
  });

  it("is the only fault that is told otherwise", () => {
    const other = new Fault({ ...facts, code: "data-directory" });
    expect(onVolume(other)).toBe(other);
    const bug = new Error("no space left");
    expect(onVolume(bug)).toBe(bug);
  });
});
