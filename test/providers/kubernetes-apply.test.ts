import { describe, expect, it } from "vitest";
import { asSecret } from "../../provider/values.ts";
import { type Bag, configMap, deployment, made, part, rolledOut, setUpStage, stage, urn } from "./stage.ts";

setUpStage();

describe("create and update", () => {
  it("applies on the server with a field manager that the state remembers", async () => {
    const kept = await made("core/v1:ConfigMap", configMap);
    expect(kept.id).toBe("default/agent");
    const applied = stage.fake.requests.filter(({ method }) => method === "PATCH");
    const manager = applied[0]?.query.get("fieldManager");
    expect(manager).toMatch(/^pulumi-kubernetes-[0-9a-f]{8}$/);
    expect(applied[0]?.query.get("force")).toBe("false");
    const news = await stage.engine.check(urn("core/v1:ConfigMap"), { ...configMap, data: { b: "2" } }, kept.inputs);
    const updated = await stage.engine.update(urn("core/v1:ConfigMap"), kept, news);
    expect(stage.fake.stored("ConfigMap", "default", "agent")["data"]).toEqual({ b: "2" });
    expect(updated.outputs).toMatchObject({ data: { b: "2" }, __fieldManager: manager });
  });

  it("refuses to take over an object that is there, unless upsertExistingObjects is on", async () => {
    stage.fake.put({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "agent", namespace: "default" } });
    await expect(made("core/v1:ConfigMap", configMap)).rejects.toThrow("ConfigMap default/agent already exists");
    await stage.engine.configure({ kubeconfig: stage.kubeconfig, upsertExistingObjects: "true" });
    expect(await made("core/v1:ConfigMap", configMap)).toMatchObject({ outputs: { data: configMap.data } });
  });

  it("tells a conflict with another manager, and forces it where told", async () => {
    await made("core/v1:ConfigMap", configMap);
    await stage.engine.configure({ kubeconfig: stage.kubeconfig, upsertExistingObjects: "true" });
    const news = { ...configMap, data: { "agent.mjs": "2" } };
    await expect(made("core/v1:ConfigMap", news)).rejects.toThrow(/conflict.*pulumi\.com\/patchForce/);
    const forced = { ...news, metadata: { name: "agent", annotations: { "pulumi.com/patchForce": "true" } } };
    expect(await made("core/v1:ConfigMap", forced)).toMatchObject({ outputs: { data: news.data } });
  });

  it("keeps a secret secret: in inputs, in outputs, and in a refreshed state", async () => {
    const kept = await made("core/v1:Secret", {
      metadata: { name: "key" },
      stringData: { apiKey: asSecret("canary") },
    });
    const encoded = Buffer.from("canary").toString("base64");
    expect(stage.fake.stored("Secret", "default", "key")["data"]).toEqual({ apiKey: encoded });
    expect(kept.outputs["data"]).toEqual({ ...asSecret(""), value: { apiKey: encoded } });
    const refreshed = await stage.engine.read(urn("core/v1:Secret"), kept);
    expect(refreshed.inputs).toEqual(kept.inputs);
    stage.fake.put({ ...stage.fake.stored("Secret", "default", "key"), data: { apiKey: "b3RoZXI=" } });
    const drifted = await stage.engine.read(urn("core/v1:Secret"), kept);
    expect(drifted.inputs["data"]).toEqual({ ...asSecret(""), value: { apiKey: "b3RoZXI=" } });
    expect(await stage.engine.diff(urn("core/v1:Secret"), drifted, kept.inputs)).toMatchObject({
      replaces: ["data.apiKey"],
    });
  });

  it("tries again while the namespace is not there, and says so when it never comes", async () => {
    const inNew = { ...configMap, metadata: { name: "agent", namespace: "late" } };
    const waiting = made("core/v1:ConfigMap", inNew);
    await stage.fake.seen("PATCH");
    stage.fake.put({ apiVersion: "v1", kind: "Namespace", metadata: { name: "late" } });
    expect((await waiting).id).toBe("late/agent");
    const never = made("core/v1:ConfigMap", { ...inNew, metadata: { name: "agent", namespace: "never" } });
    await expect(never).rejects.toThrow(`refused ConfigMap never/agent: namespaces "never" not found`);
  });

  it("places custom resources as the cluster says, and names a kind that is missing", async () => {
    const group = "trainer.kubeflow.org/v1alpha1";
    expect((await made(`${group}:TrainJob`, { metadata: { name: "a" }, spec: {} })).id).toBe("default/a");
    expect((await made(`${group}:ClusterTrainingRuntime`, { metadata: { name: "a" }, spec: {} })).id).toBe("a");
    await expect(made("kueue.x-k8s.io/v1beta1:LocalQueue", { metadata: { name: "a" } })).rejects.toThrow(
      "The API server has no kind LocalQueue in kueue.x-k8s.io/v1beta1",
    );
  });
});

describe("read", () => {
  it("sees no drift in what the server, controllers and other managers add", async () => {
    stage.fake.controller = () => rolledOut;
    const kept = await made("apps/v1:Deployment", deployment);
    const live = stage.fake.stored("Deployment", "default", "endpoint");
    stage.fake.put({
      ...live,
      metadata: { ...live.metadata, annotations: { "deployment.kubernetes.io/revision": "1" } },
    });
    const refreshed = await stage.engine.read(urn("apps/v1:Deployment"), kept);
    expect(refreshed.inputs).toEqual(kept.inputs);
    expect(refreshed.outputs["metadata"]).toMatchObject({ annotations: { "deployment.kubernetes.io/revision": "1" } });
  });

  it("sees the drift of a field that is ours, which the next update puts right", async () => {
    stage.fake.controller = () => rolledOut;
    const kept = await made("apps/v1:Deployment", deployment);
    const live = stage.fake.stored("Deployment", "default", "endpoint");
    stage.fake.put({ ...live, spec: { ...(live["spec"] as Bag), replicas: 0 } });
    const refreshed = await stage.engine.read(urn("apps/v1:Deployment"), kept);
    const news = await stage.engine.check(urn("apps/v1:Deployment"), deployment, refreshed.inputs);
    expect((await stage.engine.diff(urn("apps/v1:Deployment"), refreshed, news)).differences).toEqual({
      "spec.replicas": "UPDATE",
    });
    await stage.engine.update(urn("apps/v1:Deployment"), refreshed, news);
    expect(part(stage.fake.stored("Deployment", "default", "endpoint"), "spec", "replicas")).toBe(1);
  });

  it("drops what is gone, and reads what is imported", async () => {
    const kept = await made("core/v1:ConfigMap", configMap);
    const imported = await stage.engine.read(urn("core/v1:ConfigMap"), { id: kept.id, outputs: {}, inputs: {} });
    expect(imported.inputs).toEqual({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "agent", namespace: "default" },
      data: configMap.data,
    });
    await stage.engine.delete(urn("core/v1:ConfigMap"), kept);
    expect(await stage.engine.read(urn("core/v1:ConfigMap"), kept)).toEqual({ id: "", outputs: {}, inputs: {} });
    await expect(stage.engine.update(urn("core/v1:ConfigMap"), kept, kept.inputs)).rejects.toThrow("pulumi refresh");
  });
});

describe("delete", () => {
  it("deletes in the foreground and waits until it is gone", async () => {
    const finalized = { ...configMap, metadata: { name: "agent", finalizers: ["example.com/slow"] } };
    const kept = await made("core/v1:ConfigMap", finalized);
    const deleting = stage.engine.delete(urn("core/v1:ConfigMap"), kept);
    await stage.fake.seen("DELETE");
    await stage.fake.seen("GET", 3);
    const request = stage.fake.requests.find(({ method }) => method === "DELETE");
    expect(request?.body).toMatchObject({ propagationPolicy: "Foreground" });
    stage.fake.objects.delete("ConfigMap/default/agent");
    await deleting;
  });

  it("names the finalizers that hold it when time is over", async () => {
    const finalized = { ...configMap, metadata: { name: "agent", finalizers: ["example.com/stuck"] } };
    const kept = await made("core/v1:ConfigMap", finalized);
    await expect(stage.engine.delete(urn("core/v1:ConfigMap"), kept, 0.05)).rejects.toThrow(
      "ConfigMap default/agent is marked for deletion and still there: 0.05 s have passed. " +
        "Its finalizers are not done: example.com/stuck. Destroy again when that is done.",
    );
  });

  it("takes what is gone already, or another with its name, as deleted", async () => {
    const kept = await made("core/v1:ConfigMap", configMap);
    stage.fake.objects.clear();
    await stage.engine.delete(urn("core/v1:ConfigMap"), kept);
    expect(stage.fake.requests.filter(({ method }) => method === "DELETE")).toEqual([]);
  });

  it("waits on while the API server starts again", async () => {
    const finalized = { ...configMap, metadata: { name: "agent", finalizers: ["example.com/slow"] } };
    const kept = await made("core/v1:ConfigMap", finalized);
    const deleting = stage.engine.delete(urn("core/v1:ConfigMap"), kept);
    await stage.fake.seen("DELETE");
    stage.fake.trouble = [403, "RBAC: not yet"];
    await stage.fake.seen("GET", 3);
    stage.fake.trouble = undefined;
    stage.fake.objects.delete("ConfigMap/default/agent");
    await deleting;
  });
});
