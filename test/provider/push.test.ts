import { mkdir, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { sha256OfFile } from "../../agent/files.ts";
import { weightsAdopt } from "../../agent/weights/adopt.ts";
import { weightsEnsure, weightsRead } from "../../agent/weights/commands.ts";
import type { Host } from "../../hosts/host.ts";
import { reaches } from "../../provider/egress.ts";
import { pushFetched } from "../../provider/push-datasets.ts";
import { comesFromHere, pushWeights } from "../../provider/push-weights.ts";
import { fetchedFolder } from "../../recipe/dataset-files.ts";
import type { CommandName } from "../../recipe/protocol.ts";
import { listen } from "../agent/context.ts";
import { fakeModel } from "../agent/weights/fake-model.ts";
import { distantHost } from "../fixtures/distant-host.ts";
import { fakeHost } from "../fixtures/fake-host.ts";

const shard = "model-00001-of-00002.safetensors";
const ssh = { kind: "ssh", address: "far-away", dataDirectory: "/d" } as const;

let root: string;
let far: string;
let model: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tuneup-push-"));
  far = join(root, "far");
  model = join(root, "my-model");
  await mkdir(far);
  await fakeModel(model);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(root, { recursive: true, force: true });
});

/** The real commands about weights, without the process around them. */
function agentAt(dataDirectory: string, calls: string[] = []) {
  return async (name: CommandName, input: unknown): Promise<unknown> => {
    calls.push(name);
    const whole = { ...(input as object), dataDirectory } as never;
    if (name === "weights-ensure") return weightsEnsure(whole, listen());
    if (name === "weights-read") return weightsRead(whole, listen());
    if (name === "weights-adopt") return weightsAdopt(whole, listen());
    throw new Error(`${name} is not expected`);
  };
}

const local = (): Host => fakeHost(join(root, "home"), agentAt(join(root, "home")));
const given = () => ({ model: { source: "path" as const, id: model }, environment: "/far/env" });

describe("weights", () => {
  it("go from a folder of this machine to the host, once, and are whole there before they are complete", async () => {
    const host = distantHost(far, agentAt(far));
    const { path, record, bytes } = await pushWeights(given(), { host, options: {} }, local());
    expect(path).toBe(`${far}/models/my-model@${record.revision.slice(0, 12)}`);
    expect(bytes).toBe(record.files.reduce((sum, file) => sum + file.bytes, 0));
    expect(await sha256OfFile(join(path, shard))).toBe(await sha256OfFile(join(model, shard)));
    expect(await host.run("weights-read", { path })).toMatchObject({ bytes, record });

    await pushWeights(given(), { host, options: {} }, local());
    expect(host.pushed).toHaveLength(1);
  });

  it("are sent again where the host's are damaged", async () => {
    const host = distantHost(far, agentAt(far));
    const { path } = await pushWeights(given(), { host, options: {} }, local());
    await truncate(join(path, shard), 9);
    await pushWeights(given(), { host, options: {} }, local());
    expect(host.pushed).toHaveLength(2);
    expect(await host.run("weights-read", { path })).not.toHaveProperty("damage");
  });

  it("are not complete when the way breaks, or when other bytes arrived", async () => {
    const host = distantHost(far, agentAt(far));
    const broken = { ...host, push: () => Promise.reject(new Error("the wire broke")) };
    await expect(pushWeights(given(), { host: broken, options: {} }, local())).rejects.toThrow("the wire broke");
    const lying: Host = {
      ...host,
      push: async (freight) => {
        await host.push(freight);
        await writeFile(join(freight.there, "config.json"), '{"model_type": "other"}');
      },
    };
    await expect(pushWeights(given(), { host: lying, options: {} }, local())).rejects.toMatchObject({
      code: "weights-hash",
      message: expect.stringContaining("config.json is missing, or is not what was sent") as string,
    });
    const { path } = host.pushed.map(({ there }) => ({ path: there }))[0]!;
    expect(await host.run("weights-read", { path })).toBeNull();
    await pushWeights(given(), { host, options: {} }, local());
    expect(await host.run("weights-read", { path })).toMatchObject({ record: { id: model } });
  });

  it("that are pinned and whole on the host are asked of nobody here", async () => {
    const host = distantHost(far, agentAt(far));
    const { record, path } = await pushWeights(given(), { host, options: {} }, local());
    const again = { model: { source: "hub" as const, id: basename(model) }, environment: "/far/env" };
    const pin = { source: "huggingface", revision: record.revision };
    const nobody = fakeHost("/nowhere", () => {
      throw new Error("not asked");
    });
    expect(await pushWeights({ ...again, pin }, { host, options: {} }, nobody)).toMatchObject({ path });
  });

  it("are adopted nowhere but in the models of the data directory", async () => {
    const host = distantHost(far, agentAt(far));
    const { record } = await pushWeights(given(), { host, options: {} }, local());
    for (const path of ["/etc", `${far}/models/../runs`, `${far}/models/a/b`]) {
      await expect(host.run("weights-adopt", { path, record })).rejects.toMatchObject({ code: "path-outside" });
    }
  });
});

describe("what is pushed", () => {
  const told = (egress: object | undefined) => distantHost(far, () => ({ egress }));

  it("is what the host can't get itself", async () => {
    const egress = { pypi: true, huggingface: false, modelscope: false };
    expect(await reaches(told(egress), ssh, ["pypi"])).toBe(true);
    expect(await reaches(told(egress), ssh, ["huggingface", "modelscope"])).toBe(false);
    expect(await reaches(told({ ...egress, modelscope: true }), ssh, ["huggingface", "modelscope"])).toBe(true);
    expect(await reaches(told(egress), ssh, [])).toBe(true);
    expect(await reaches(told(undefined), ssh, ["pypi"])).toBe(true);
    const offline = { ...ssh, offline: true };
    expect(await reaches(told({ pypi: true, huggingface: true, modelscope: true }), offline, ["pypi"])).toBe(false);
    expect(
      await reaches(
        fakeHost(far, () => ({})),
        offline,
        ["pypi"],
      ),
    ).toBe(true);
  });

  it("is a folder that is here, and every model that the host can't fetch", async () => {
    const host = told({ pypi: false, huggingface: false, modelscope: false });
    expect(await comesFromHere(host, ssh, { source: "path", id: model })).toBe(true);
    expect(await comesFromHere(host, ssh, { source: "path", id: "/on/the/host" })).toBe(false);
    for (const source of ["hub", "huggingface", "modelscope", "pypi", "s3"] as const) {
      expect(await comesFromHere(host, ssh, { source, id: "a/b" })).toBe(true);
    }
  });

  it("is a dataset's files, to where the agent looks for what it fetched", async () => {
    vi.stubEnv("TUNEUP_HOME", join(root, "home"));
    const sha256 = "ab".repeat(32);
    const here = fetchedFolder(join(root, "home"), sha256);
    await mkdir(here, { recursive: true });
    await writeFile(join(here, "faq.json"), "[]");
    await writeFile(join(here, "of-another.json"), "[]");
    const host = distantHost(far, () => ({}));
    const remote = [{ path: "faq.json", url: "https://files.example/faq.json" }];
    await pushFetched({ name: "faq", sha256, remote }, undefined, { host, options: {} });
    expect(await readFile(join(fetchedFolder(far, sha256), "faq.json"), "utf8")).toBe("[]");
    expect(host.pushed[0]?.files.map(({ path }) => path)).toEqual(["faq.json"]);
  });
});
