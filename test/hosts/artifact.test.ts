import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { digestsBelow } from "../../agent/files.ts";
import { artifactDamage, bringArtifact, safetyOf } from "../../hosts/artifact.ts";
import type { RunManifest } from "../../recipe/lifecycle.ts";
import { distantHost } from "../fixtures/distant-host.ts";
import { fakeHost } from "../fixtures/fake-host.ts";

const run = "exp-0123456789ab";

let root: string;
let home: string;
let far: string;
let output: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tuneup-artifact-"));
  home = join(root, "home");
  far = join(root, "far");
  output = `${far}/runs/${run}/output`;
  await mkdir(output, { recursive: true });
  await writeFile(`${output}/adapter_model.safetensors`, "weights");
  await writeFile(`${output}/training_loss.png`, "curve");
  await mkdir(`${output}/checkpoint-4`);
  await writeFile(`${output}/checkpoint-4/optimizer.pt`, "large");
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

async function manifest(completedAt = "2026-01-01T00:00:00.000Z"): Promise<RunManifest> {
  const files = await digestsBelow(output, (path) => !path.startsWith("checkpoint-"));
  const facts = { attempts: 1, step: 4, totalSteps: 4, trainSeconds: 1, artifact: "adapter" } as const;
  return { schemaVersion: 1, run, completedAt, ...facts, files };
}

function hostWith(found: RunManifest | null) {
  const spec = { experiment: "exp", run, arguments: { template: "qwen", learning_rate: 1e-4 } };
  const status = { state: found === null ? "training" : "complete" };
  return distantHost(far, () => ({ status, spec, manifest: found, bytes: 1 }));
}

it("tells a machine that ends after its training when what it left is here, also where it was before", async () => {
  const told: string[] = [];
  const whole = await manifest();
  const host = { ...hostWith(whole), noteSafe: (name: string) => Promise.resolve(void told.push(name)) };
  await bringArtifact(host, run, home);
  expect(told).toEqual([run]);
  await bringArtifact(host, run, home);
  expect(told).toEqual([run, run]);
  await rm(`${output}/adapter_model.safetensors`);
  await rm(`${home}/artifacts`, { recursive: true });
  await expect(bringArtifact(host, run, home)).rejects.toThrow();
  expect(told).toEqual([run, run]);
});

it("brings all but the checkpoints, the manifest last, for this user alone", async () => {
  const host = hostWith(await manifest());
  expect(await safetyOf(host, run, home)).toBe("unsafe");
  const { folder } = await bringArtifact(host, run, home);
  expect(folder).toBe(`${home}/artifacts/exp/${run}`);
  const names = (await digestsBelow(folder)).map(({ path }) => path);
  expect(names).toEqual(["adapter_model.safetensors", "manifest.json", "train.yaml", "training_loss.png"]);
  expect(await readFile(`${folder}/train.yaml`, "utf8")).toContain("learning_rate: 0.0001");
  expect((await stat(folder)).mode & 0o777).toBe(0o700);
  for (const name of ["manifest.json", "train.yaml"]) {
    expect((await stat(join(folder, name))).mode & 0o777).toBe(0o600);
  }
  expect(await safetyOf(host, run, home)).toBe("safe");
  expect(await artifactDamage(folder, home)).toBeUndefined();
});

it("brings nothing twice, and what was changed or lost here again", async () => {
  const host = hostWith(await manifest());
  const { folder } = await bringArtifact(host, run, home);
  await bringArtifact(host, run, home);
  expect(host.fetched).toHaveLength(1);

  await writeFile(`${folder}/adapter_model.safetensors`, "touched it");
  expect(await safetyOf(host, run, home)).toBe("unsafe");
  expect(await artifactDamage(folder, home)).toBe(`${folder}/adapter_model.safetensors has 10 bytes instead of 7.`);
  await bringArtifact(host, run, home);
  expect(await readFile(`${folder}/adapter_model.safetensors`, "utf8")).toBe("weights");

  await rm(`${folder}/manifest.json`);
  expect(await safetyOf(host, run, home)).toBe("unsafe");
  await bringArtifact(host, run, home);
  expect(await safetyOf(host, run, home)).toBe("safe");
});

it("is not safe while it comes: a way that breaks leaves no manifest", async () => {
  const whole = hostWith(await manifest());
  const { folder } = await bringArtifact(whole, run, home);
  // The run was made again meanwhile: what is here is another result.
  await writeFile(`${output}/adapter_model.safetensors`, "better weights");
  const host = hostWith(await manifest("2026-01-02T00:00:00.000Z"));
  const broken = { ...host, fetch: () => Promise.reject(new Error("the wire broke")) };
  await expect(bringArtifact(broken, run, home)).rejects.toThrow("the wire broke");
  expect(await safetyOf(host, run, home)).toBe("unsafe");
  expect(await artifactDamage(folder, home)).toBe(`${folder}/manifest.json is missing.`);
  await bringArtifact(host, run, home);
  expect(await safetyOf(host, run, home)).toBe("safe");
});

it("says of a run that goes on that it left nothing yet", async () => {
  const host = hostWith(null);
  expect(await safetyOf(host, run, home)).toBe("none");
  await expect(bringArtifact(host, run, home)).rejects.toMatchObject({
    code: "artifact-none",
    message: `Run ${run} is training and left nothing yet.`,
  });
});

it("leaves an artifact of this machine where it is", async () => {
  const host = fakeHost(far, () => {
    throw new Error("not asked");
  });
  expect(await bringArtifact(host, run, home)).toEqual({ folder: output });
});
