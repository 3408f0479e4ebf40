/* eslint-disable @typescript-eslint/no-unsafe-class-instance-assignment -- objects of the API are plain data here, whatever classes the client has for them */
import type { V1Container, V1PodSpec } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import { render } from "./kubernetes-rendered.ts";
import { always, kedaKinds, serving, shipped, shippedExperiment, type Values, whole } from "./kubernetes-shipped.ts";
import { findingsIn, type Manifest, type RuleName, ruleNames } from "./kubernetes-rules.ts";

const demo = "Pulumi.k8s-demo.yaml";

const variants: [string, Values, readonly string[]][] = [
  ["a GPU", { compute: { device: "cuda", gpusPerNode: 8 } }, whole],
  [
    "several machines",
    { compute: { nodes: 2, device: "cuda", gpusPerNode: 8 }, kubernetes: { volume: { accessMode: "ReadWriteMany" } } },
    [...always, "TrainingRuntime", "TrainJob", ...serving],
  ],
  [
    "an Ingress",
    { kubernetes: { endpoint: { ingress: { host: "a.example", tlsSecretName: "cert", namespace: "web" } } } },
    [...whole, "Ingress"],
  ],
  [
    "a route",
    { kubernetes: { endpoint: { route: { host: "a.example", gateway: "main", namespace: "web" } } } },
    [...whole, "HTTPRoute"],
  ],
  ["a bucket to publish to", { storage: { artifacts: "s3://bucket/out" } }, [...whole, "NetworkPolicy"]],
  ["an autoscaler", { kubernetes: { endpoint: { maxReplicas: 4 } } }, [...whole, "HorizontalPodAutoscaler"]],
  ["KEDA", { kubernetes: { endpoint: { maxReplicas: 4, autoscaler: "keda" } } }, [...whole, ...kedaKinds]],
  [
    "everything that a Pod can be told",
    {
      kubernetes: {
        createNamespace: false,
        ...{ imagePullSecrets: ["pull"], nodeSelector: { a: "b" }, tolerations: [{ operator: "Exists" }] },
        ...{ priorityClassName: "high", runtimeClassName: "nvidia", queueName: "queue" },
        endpoint: { replicas: 2, strategy: "Recreate", allowFrom: ["web"] },
      },
      serve: { tls: "self-signed" },
    },
    whole.filter((kind) => kind !== "Namespace"),
  ],
];

describe("manifests keep to the rules", () => {
  it("there are shipped experiments for clusters, with a GPU and without", () => {
    expect(shipped).toContain(demo);
    const devices = shipped.map((file) => shippedExperiment(file).compute.device);
    expect(devices).toContain("cpu");
    expect(devices.some((device) => device !== "cpu")).toBe(true);
  });

  it.each(shipped)("%s", async (file) => {
    expect(findingsIn(await render(shippedExperiment(file), whole))).toEqual([]);
  });

  it.each(variants)("k8s-demo with %s", async (_what, changes, kinds) => {
    expect(findingsIn(await render(shippedExperiment(demo, changes), kinds))).toEqual([]);
  });

  it("a Pod with a GPU asks for as many as it is limited to", async () => {
    const all = await render(shippedExperiment(demo, { compute: { device: "cuda", gpusPerNode: 2 } }), whole);
    const resources = all.flatMap((one) => templateIn(one)?.containers[0]?.resources ?? []);
    const gpus = resources.map(({ requests = {}, limits = {} }) =>
      [requests, limits].map((one) => one["nvidia.com/gpu"]),
    );
    // The trainer, the endpoint (one process on one card), and the Pod for commands.
    expect(gpus.map(([asked, limit]) => `${asked ?? 0} of ${limit ?? 0}`).sort()).toEqual([
      "0 of 0",
      "1 of 1",
      "2 of 2",
    ]);
  });
});

function templateIn({ kind, spec }: Manifest): V1PodSpec | undefined {
  if (kind !== "Job" && kind !== "Deployment") return undefined;
  return (spec as { template: { spec: V1PodSpec } }).template.spec;
}

type Breaking = (manifests: Manifest[]) => void;

const of = (manifests: readonly Manifest[], kind: string): Manifest =>
  manifests.find((one) => one.kind === kind) ?? expect.fail(`there is no ${kind}`);
const specOf = (manifests: readonly Manifest[], kind: string) => of(manifests, kind).spec as Record<string, never>;
const container =
  (change: (one: V1Container) => void): Breaking =>
  (all) =>
    change(templateIn(of(all, "Deployment"))!.containers[0]!);
const pod =
  (change: (one: V1PodSpec) => void): Breaking =>
  (all) =>
    change(templateIn(of(all, "Job"))!);
const spec =
  (kind: string, change: object): Breaking =>
  (all) =>
    Object.assign(specOf(all, kind), change);
const without =
  (isGone: (one: Manifest) => boolean): Breaking =>
  (all) =>
    all.splice(0, all.length, ...all.filter((one) => !isGone(one)));

/** For each rule, how to break it. */
const breakings: Record<RuleName, Breaking> = {
  "no-liveness-probe": container((one) => delete one.livenessProbe),
  "no-readiness-probe": container((one) => delete one.readinessProbe),
  "no-resources": container((one) => delete one.resources?.limits?.["memory"]),
  "image-without-digest": container((one) => (one.image = "python:3.12")),
  privileged: container((one) => (one.securityContext!.privileged = true)),
  "privilege-escalation": container((one) => delete one.securityContext!.allowPrivilegeEscalation),
  "writable-root": container((one) => (one.securityContext!.readOnlyRootFilesystem = false)),
  "runs-as-root": container((one) => (one.securityContext!.runAsUser = 0)),
  "no-seccomp": pod((one) => delete one.securityContext!.seccompProfile),
  capabilities: container((one) => (one.securityContext!.capabilities!.add = ["NET_ADMIN"])),
  "secret-in-environment": container((one) => one.env!.push({ name: "HF_TOKEN", value: "canary" })),
  "host-port": container((one) => (one.ports![0]!.hostPort = 8400)),
  "service-account-token": pod((one) => delete one.automountServiceAccountToken),
  "host-namespace": pod((one) => (one.hostNetwork = true)),
  "host-volume": pod((one) => one.volumes!.push({ name: "host", hostPath: { path: "/" } })),
  "unbounded-memory-volume": pod((one) => one.volumes!.push({ name: "m", emptyDir: { medium: "Memory" } })),
  "pods-not-denied": without(({ metadata }) => metadata.name.endsWith("-deny")),
  "policy-open-to-all": (all) => {
    const policy = all.find(({ kind, metadata }) => kind === "NetworkPolicy" && metadata.name.endsWith("-endpoint"));
    Object.assign(policy!.spec as object, { ingress: [{ from: [{ namespaceSelector: {} }] }] });
  },
  "policy-without-pods": (all) => {
    const policy = all.find(({ kind, metadata }) => kind === "NetworkPolicy" && metadata.name.endsWith("-agent"));
    Object.assign(policy!.spec as object, { podSelector: { matchLabels: { "tuneup.dev/role": "agnet" } } });
  },
  "service-exposed": spec("Service", { type: "LoadBalancer" }),
  "service-without-pods": spec("Service", { selector: { app: "other" } }),
  "budget-without-pods": spec("PodDisruptionBudget", { selector: { matchLabels: { app: "other" } } }),
  "selector-mismatch": spec("Deployment", { selector: { matchLabels: { app: "other" } } }),
  "scale-target-missing": spec("HorizontalPodAutoscaler", { scaleTargetRef: { kind: "Deployment", name: "other" } }),
  "backend-missing": (all) => {
    const [rule] = specOf(all, "HTTPRoute")["rules"] as unknown as { backendRefs: { name: string }[] }[];
    rule!.backendRefs[0]!.name = "other";
  },
  "ingress-without-tls": spec("Ingress", { tls: [] }),
  "namespace-not-restricted": (all) => {
    const labels = of(all, "Namespace").metadata.labels as Record<string, string>;
    labels["pod-security.kubernetes.io/enforce"] = "baseline";
  },
  "token-of-account": (all) => Object.assign(of(all, "ServiceAccount"), { automountServiceAccountToken: true }),
  "rights-granted": (all) =>
    all.push({ apiVersion: "rbac.authorization.k8s.io/v1", kind: "Role", metadata: { name: "all" } }),
};

const everything: Values = {
  compute: { device: "cuda", gpusPerNode: 1 },
  kubernetes: {
    endpoint: {
      maxReplicas: 4,
      ingress: { host: "a.example", tlsSecretName: "cert", namespace: "web" },
      route: { host: "a.example", gateway: "main", namespace: "web" },
    },
  },
};

it("finds what breaks each rule, and nothing else", async () => {
  const kinds = [...whole, "HorizontalPodAutoscaler", "Ingress", "HTTPRoute"];
  const manifests = await render(shippedExperiment(demo, everything), kinds);
  expect(findingsIn(manifests)).toEqual([]);
  for (const rule of ruleNames) {
    const broken = structuredClone(manifests);
    breakings[rule](broken);
    expect(new Set(findingsIn(broken).map((finding) => finding.rule)), rule).toEqual(new Set([rule]));
  }
});

it("looks into the Pods of a TrainingRuntime", async () => {
  const changes = { compute: { nodes: 2 }, kubernetes: { volume: { accessMode: "ReadWriteMany" } } };
  const manifests = await render(shippedExperiment(demo, changes), [
    ...always,
    "TrainingRuntime",
    "TrainJob",
    ...serving,
  ]);
  const text = JSON.stringify(of(manifests, "TrainingRuntime"));
  const broken = JSON.parse(
    text.replace('"readOnlyRootFilesystem":true', '"readOnlyRootFilesystem":false'),
  ) as Manifest;
  expect(findingsIn([...manifests, broken])).toEqual([{ rule: "writable-root", object: "TrainingRuntime exp-tuneup" }]);
});
