/* eslint-disable @typescript-eslint/no-unsafe-class-instance-assignment -- objects of the API are plain data here, whatever classes the client has for them */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Check } from "../../cli/doctor/check.ts";
import { clusterChecks } from "../../cli/doctor/cluster.ts";
import { asText, doctor } from "../../cli/doctor/doctor.ts";
import { sayIn } from "../../cli/language/say.ts";
import type { KubernetesHostSpec } from "../../recipe/host.ts";
import { FakeCluster } from "../hosts/fake-cluster.ts";

let cluster: FakeCluster;

beforeEach(async () => (cluster = await FakeCluster.start()));
afterEach(() => cluster.remove());

const examine = (changes: Partial<KubernetesHostSpec> = {}) => clusterChecks(cluster.spec(changes), sayIn("en"));
async function check(name: string, changes?: Partial<KubernetesHostSpec>) {
  const found = (await examine(changes)).find((one) => one.name === name);
  return found ?? expect.fail(`there is no check ${name}`);
}

const gpuNode = {
  metadata: { name: "gpu-a", labels: { "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3" } },
  status: { allocatable: { "nvidia.com/gpu": "8" } },
};

it("says what a cluster is and has, and makes nothing there", async () => {
  cluster.objects.nodes = [gpuNode, { metadata: { name: "small" }, status: { allocatable: {} } }];
  const checks = await examine();
  expect(checks.map(({ name, state }) => `${name} ${state}`)).toEqual([
    "cluster ok",
    "kubernetes ok",
    "rights ok",
    "volume ok",
    "gpu ok",
  ]);
  const text = asText(checks);
  expect(text).toMatch(/cluster +here \(http:\/\/127\.0\.0\.1:\d+\): answered in \d+ ms/);
  for (const part of ["1.37.0", "tuneup-data is there: 32 GB", "gpu-a: 8 × NVIDIA-H100-80GB-HBM3"]) {
    expect(text).toContain(part);
  }
  // A question about rights is a POST and leaves nothing.
  const made = cluster.requests.filter((one) => !one.startsWith("GET") && !one.endsWith("/selfsubjectaccessreviews"));
  expect(made).toEqual([]);
});

it("needs Kubernetes 1.30", async () => {
  cluster.objects.version = "v1.29.14-eks-1";
  expect(await check("kubernetes")).toMatchObject({ state: "missing", detail: "1.29.14-eks-1 is older than 1.30" });
  cluster.objects.version = "v1.30.0+k3s1";
  expect(await check("kubernetes")).toMatchObject({ state: "ok" });
});

it("names what the user may not do", async () => {
  cluster.objects.denied = ["create jobs", "create pods/exec"];
  const found = await check("rights");
  expect(found).toMatchObject({
    state: "missing",
    detail: "in namespace demo you may not: create jobs, create pods/exec",
  });
  expect(found.next).toContain("docs/kubernetes.md");
});

it("tells whether the volume can be made: by its class, or the cluster's default", async () => {
  cluster.objects.claims.clear();
  expect(await check("volume", { storageClassName: "standard" })).toMatchObject({ state: "ok" });
  expect(await check("volume", { storageClassName: "fast" })).toMatchObject({
    state: "missing",
    detail: "the cluster has no StorageClass fast; it has: standard",
  });
  expect(await check("volume")).toMatchObject({ state: "missing" });
  cluster.objects.classes[0]!.metadata!.annotations = { "storageclass.kubernetes.io/is-default-class": "true" };
  expect((await check("volume")).detail).toBe("tuneup-data will be made with StorageClass standard");
});

it("says what it can't know where nodes and classes are not shown to the user", async () => {
  cluster.objects.claims.clear();
  cluster.refusal = (_method, path) =>
    /\/(nodes|storageclasses)$/.test(path) ? { status: 403, message: 'cannot list resource "nodes"' } : undefined;
  expect(await check("volume")).toMatchObject({ state: "note" });
  expect(await check("gpu")).toMatchObject({ state: "note", detail: expect.stringContaining("not known") as string });
});

it("says that only the CPU trains where no node has a GPU", async () => {
  cluster.objects.nodes = [{ metadata: { name: "small" }, status: { allocatable: {} } }];
  const { state, detail } = await check("gpu");
  expect(state).toBe("note");
  expect(detail).toBe("none of 1 nodes offers nvidia.com/gpu: only `device: cpu` trains there");
});

it.each<[string, () => Promise<void> | void, Partial<KubernetesHostSpec>, string]>([
  ["no kubeconfig", () => void vi.stubEnv("KUBECONFIG", "/nowhere/config"), {}, "/nowhere/config, which is not there"],
  ["no such context", () => undefined, { context: "elsewhere" }, "It has here, there."],
  ["a cluster that is not there", () => cluster.down(), {}, "can't be reached"],
])("says in one check that there is %s", async (_what, arrange, changes, sentence) => {
  await arrange();
  const checks = await examine(changes);
  expect(checks).toHaveLength(1);
  expect(checks[0]).toMatchObject({ name: "cluster", state: "missing" });
  expect(checks[0]?.detail).toContain(sentence);
  expect(checks[0]?.next).toMatch(/\.$|\?$/);
});

it("is what `tuneup doctor EXPERIMENT` looks at where the experiment's target is a cluster", async () => {
  let printed = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => ((printed += String(text)), true));
  // No server but the cluster is asked: a proxy that is not there refuses at once.
  const variables = {
    HOME: cluster.folder,
    PATH: "",
    HTTPS_PROXY: "http://127.0.0.1:9",
    HTTP_PROXY: "http://127.0.0.1:9",
  };
  await doctor({ experiment: "k8s-demo", json: true }, variables);
  vi.restoreAllMocks();
  const { checks } = JSON.parse(printed) as { checks: Check[] };
  expect(checks.find(({ name }) => name === "cluster")).toMatchObject({ state: "ok" });
  expect(checks.find(({ name }) => name === "rights")?.detail).toContain("in namespace tuneup");
  // What is of this machine alone decides nothing there.
  expect(checks.some(({ name }) => name === "disk")).toBe(false);
});

it("is in Chinese where the user's language is", async () => {
  const checks = await clusterChecks(cluster.spec(), sayIn("zh"));
  expect(checks.map(({ name }) => name)).toEqual(["集群", "kubernetes", "权限", "存储卷", "gpu"]);
});
