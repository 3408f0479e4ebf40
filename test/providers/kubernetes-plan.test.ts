import { describe, expect, it } from "vitest";
import type { types } from "@pulumi/kubernetes";
import { asSecret, unknownValue } from "../../provider/values.ts";
import { kubeconfigFor } from "../fixtures/fake-kubernetes.ts";
import { type Bag, configMap, container, deployment, job, made, setUpStage, stage, urn } from "./stage.ts";

setUpStage();

describe("check", () => {
  it("gives type, namespace and a name of its own, the same for the same seed", async () => {
    const seed = new Uint8Array([1, 2, 3]);
    const first = await stage.engine.check(urn("core/v1:ConfigMap"), { data: { a: "1" } }, {}, seed);
    expect(first).toMatchObject({ apiVersion: "v1", kind: "ConfigMap" });
    expect(first["metadata"]).toEqual({
      name: expect.stringMatching(/^thing-[0-9a-f]{8}$/) as string,
      namespace: "default",
      annotations: { "pulumi.com/autonamed": "true" },
    });
    expect(await stage.engine.check(urn("core/v1:ConfigMap"), { data: { a: "1" } }, {}, seed)).toEqual(first);
    expect(await stage.engine.check(urn("core/v1:ConfigMap"), { data: { a: "2" } }, first)).toMatchObject({
      metadata: first["metadata"],
    });
  });

  it("takes the namespace of the provider, and gives none to what belongs to the cluster or may do so", async () => {
    await stage.engine.configure({ kubeconfig: stage.kubeconfig, namespace: "demo" });
    const named = { metadata: { name: "a" } };
    expect(await stage.engine.check(urn("batch/v1:Job"), named)).toMatchObject({ metadata: { namespace: "demo" } });
    expect((await stage.engine.check(urn("core/v1:Namespace"), named))["metadata"]).toEqual({ name: "a" });
    const runtime = await stage.engine.check(urn("trainer.kubeflow.org/v1alpha1:ClusterTrainingRuntime"), named);
    expect(runtime).toEqual({ apiVersion: "trainer.kubeflow.org/v1alpha1", kind: "ClusterTrainingRuntime", ...named });
  });

  it("lets unknowns and secrets pass, and marks a Secret with one secret value as a whole", async () => {
    const news = { metadata: { name: unknownValue }, data: { a: asSecret("YQ=="), b: "Yg==" }, type: null };
    const checked = await stage.engine.check(urn("core/v1:Secret"), news);
    expect(checked["data"]).toEqual({ ...asSecret(""), value: { a: "YQ==", b: "Yg==" } });
    expect(checked["metadata"]).toEqual({ name: unknownValue, namespace: "default" });
    expect(checked).not.toHaveProperty("type");
    const metadata = await stage.engine.check(urn("core/v1:ConfigMap"), { metadata: unknownValue });
    expect(metadata["metadata"]).toBe(unknownValue);
  });

  it("refuses what is no single object", async () => {
    await expect(stage.engine.check(urn("helm.sh/v3:Release"), {})).rejects.toThrow(
      "has no kubernetes:helm.sh/v3:Release",
    );
  });
});

describe("diff", () => {
  async function diffed(type: string, olds: Bag, news: Bag) {
    const inputs = await stage.engine.check(urn(type), olds);
    return await stage.engine.diff(
      urn(type),
      { id: "x", outputs: {}, inputs },
      await stage.engine.check(urn(type), news, inputs),
    );
  }

  it("sees nothing in equal inputs, however a quantity is written", async () => {
    const other = JSON.parse(JSON.stringify(deployment).replace("1000m", "1")) as Bag;
    expect(await diffed("apps/v1:Deployment", deployment, other)).toEqual({
      changes: false,
      replaces: [],
      deleteBeforeReplace: false,
      differences: {},
    });
  });

  it("sees a zero and a false that were not there", async () => {
    const news = { ...deployment, spec: { ...deployment.spec, replicas: 0, paused: false } };
    const { differences } = await diffed("apps/v1:Deployment", deployment, news);
    expect(differences).toEqual({ "spec.replicas": "UPDATE", "spec.paused": "ADD" });
  });

  it.each([
    ["batch/v1:Job", job, "spec.template.spec.containers[0].image"],
    ["apps/v1:Deployment", deployment, "spec.selector.matchLabels.app"],
    ["core/v1:ConfigMap", configMap, `data["agent.mjs"]`],
    ["core/v1:Service", { metadata: { name: "a" }, spec: { clusterIP: "10.0.0.1" } }, "spec.clusterIP"],
    [
      "core/v1:PersistentVolumeClaim",
      { metadata: { name: "a" }, spec: { storageClassName: "x" } },
      "spec.storageClassName",
    ],
  ])("replaces a %s, the old one first, at %s %s", async (type, olds, path) => {
    const leaf =
      path
        .split(/[.[\]"]+/)
        .filter((word) => word !== "")
        .at(-1) === "mjs"
        ? "agent.mjs"
        : path.split(".").at(-1)!;
    const news = JSON.parse(JSON.stringify(olds), (key, value: unknown) =>
      key === leaf && typeof value === "string" ? `${value}-other` : value,
    ) as Bag;
    const found = await diffed(type, olds, news);
    expect(found.replaces).toEqual([path]);
    expect(found.differences[path]).toBe("UPDATE_REPLACE");
    expect(found.deleteBeforeReplace).toBe(true);
  });

  it("makes the new one first where the name is its own, or another", async () => {
    const unnamed = { spec: job.spec };
    const news = JSON.parse(JSON.stringify(unnamed).replace("sha256:0", "sha256:1")) as Bag;
    expect(await diffed("batch/v1:Job", unnamed, news)).toMatchObject({ deleteBeforeReplace: false, changes: true });
    const renamed = await diffed("batch/v1:Job", job, { ...job, metadata: { name: "other" } });
    expect(renamed).toMatchObject({ replaces: ["metadata.name"], deleteBeforeReplace: false });
  });

  it("changes a ConfigMap in place where the provider says so, and a claim's size", async () => {
    await stage.engine.configure({ kubeconfig: stage.kubeconfig, enableConfigMapMutable: "true" });
    const news = { ...configMap, data: { "agent.mjs": "2" } };
    expect(await diffed("core/v1:ConfigMap", configMap, news)).toMatchObject({ changes: true, replaces: [] });
    const claim = (storage: string) =>
      ({
        metadata: { name: "data" },
        spec: { resources: { requests: { storage } } },
      }) satisfies types.input.core.v1.PersistentVolumeClaim;
    const bigger = await diffed("core/v1:PersistentVolumeClaim", claim("1Gi"), claim("2Gi"));
    expect(bigger).toMatchObject({ replaces: [], differences: { "spec.resources.requests.storage": "UPDATE" } });
    expect(await diffed("core/v1:PersistentVolumeClaim", claim("1Gi"), claim("1024Mi"))).toMatchObject({
      changes: false,
    });
  });

  it("counts what is not known yet as a change", async () => {
    const news = JSON.parse(JSON.stringify(job).replace(container.image, unknownValue)) as Bag;
    expect(await diffed("batch/v1:Job", job, news)).toMatchObject({
      replaces: ["spec.template.spec.containers[0].image"],
    });
  });

  it("needs no cluster, nor does check", async () => {
    await stage.fake.stop();
    await stage.engine.configure({ kubeconfig: kubeconfigFor(1) });
    expect(await diffed("batch/v1:Job", job, job)).toMatchObject({ changes: false });
    expect(stage.fake.requests).toEqual([]);
    await expect(made("core/v1:ConfigMap", configMap)).rejects.toThrow(
      /API server at http:\/\/127\.0\.0\.1:1 does not answer/,
    );
    await stage.fake.start();
  });
});

describe("configuration", () => {
  it("makes everything anew only on another cluster", async () => {
    const here = { kubeconfig: stage.kubeconfig, context: "fake" };
    expect(await stage.engine.diffConfig(here, { ...here, namespace: "demo" })).toEqual([]);
    expect(await stage.engine.diffConfig(here, { ...here, kubeconfig: kubeconfigFor(1) })).toEqual(["kubeconfig"]);
  });

  it("names the contexts that there are", async () => {
    await stage.engine.configure({ kubeconfig: stage.kubeconfig, context: "prod" });
    await expect(made("core/v1:ConfigMap", configMap)).rejects.toThrow("no context prod with a cluster; it has fake");
  });
});
