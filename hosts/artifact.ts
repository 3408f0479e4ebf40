import { rm } from "node:fs/promises";
import { makeFolder, readRecord, writeAtomically, writeJson } from "../agent/files.ts";
import { formatBytes } from "../agent/folders.ts";
import { withLock } from "../agent/lock.ts";
import { damageOf } from "../agent/runs/outputs.ts";
import { runPaths } from "../agent/runs/paths.ts";
import { canonicalJson } from "../recipe/canonical.ts";
import { Fault } from "../recipe/fault.ts";
import { layoutOf } from "../recipe/layout.ts";
import { type RunManifest, runManifest } from "../recipe/lifecycle.ts";
import type { CommandOptions, Host } from "./host.ts";
import { isPublished } from "./published.ts";

/** Is what a run left out of the host's hands? `none`: the run has not left anything yet, or is not known there. */
export type Safety = "safe" | "unsafe" | "none";

/** Where on this machine the artifact of a run on another host lies. `home`: this machine's data directory. */
export function artifactFolder(home: string, experiment: string, run: string): string {
  return `${home}/artifacts/${experiment}/${run}`;
}

/**
 * Brings what a complete run left (adapter or weights, curves, metrics, its train.yaml; no checkpoints) to this machine and checks it.
 * `manifest.json` is written last: with it the folder is whole. What is here already is not brought again. Of a run on this machine it
 * only says the folder. Throws Fault `artifact-none` for a run that is not complete, and those of the way to the host.
 */
export async function bringArtifact(
  host: Host,
  run: string,
  home: string,
  options: CommandOptions = {},
): Promise<{ readonly folder: string }> {
  const there = layoutOf(host.dataDirectory).run(run).output;
  if (host.isHere) return { folder: there };
  const found = await host.run("run-read", { run }, options);
  if (found === null || found.manifest === null) throw noArtifact(run, host, found?.status.state);
  const { manifest, spec } = found;
  const folder = artifactFolder(home, spec.experiment, run);
  const bring = async (): Promise<void> => {
    if (await isCopyOf(manifest, folder, home)) return;
    await makeFolder(folder);
    await rm(manifestIn(folder), { force: true });
    await host.fetch({ here: folder, there, files: manifest.files }, options);
    const damage = await damageHere(manifest, folder, home);
    if (damage !== undefined) throw notWhole(folder, damage);
    // As in agent/runs/declare.ts: not at the provider's start.
    const { toYaml } = await import("../agent/runs/to-yaml.ts");
    await writeAtomically(`${folder}/train.yaml`, toYaml(spec.arguments));
    await writeJson(manifestIn(folder), manifest);
    const bytes = manifest.files.reduce((sum, file) => sum + file.bytes, 0);
    options.onLog?.("info", `The artifact of ${run} is on this machine: ${folder} (${formatBytes(bytes)}).`);
  };
  const wait = options.signal ?? new AbortController().signal;
  await withLock(`${layoutOf(home).locks}/artifact-${run}`, bring, { signal: wait });
  await host.noteSafe?.(run);
  return { folder };
}

/**
 * Is the artifact complete on the host, and whole on this machine or in the bucket of `storage.artifacts`? On this machine itself it is safe as
 * soon as it is there. `doomed`: a bucket that is about to be deleted, so that what it has counts for nothing.
 */
export async function safetyOf(host: Host, run: string, home: string, doomed?: string): Promise<Safety> {
  const found = await host.run("run-read", { run });
  if (found === null || found.manifest === null) return "none";
  if (host.isHere) return "safe";
  const folder = artifactFolder(home, found.spec.experiment, run);
  if (await isCopyOf(found.manifest, folder, home)) return "safe";
  if (doomed !== undefined && found.spec.artifacts?.split("/")[2] === doomed) return "unsafe";
  return (await isPublished(found.spec, found.manifest, process.env)) ? "safe" : "unsafe";
}

/** The manifest of an artifact that was brought to `folder`; undefined where it was not brought whole. Asks no host. */
export function artifactHere(folder: string): Promise<RunManifest | undefined> {
  return readRecord(manifestIn(folder), runManifest);
}

/** What is wrong with an artifact that was brought to `folder`, in a sentence; undefined if it is whole. Asks no host. */
export async function artifactDamage(folder: string, home: string): Promise<string | undefined> {
  const manifest = await readRecord(manifestIn(folder), runManifest);
  if (manifest === undefined) return `${manifestIn(folder)} is missing.`;
  return damageHere(manifest, folder, home);
}

function manifestIn(folder: string): string {
  return `${folder}/manifest.json`;
}

async function isCopyOf(manifest: RunManifest, folder: string, home: string): Promise<boolean> {
  const here = await readRecord(manifestIn(folder), runManifest);
  if (here === undefined || canonicalJson(here) !== canonicalJson(manifest)) return false;
  return (await damageHere(here, folder, home)) === undefined;
}

/** Only files whose size or time changed are hashed again; what is remembered of them is no part of the artifact. */
async function damageHere(manifest: RunManifest, folder: string, home: string): Promise<string | undefined> {
  const seen = `${home}/cache/artifacts/${manifest.run}.json`;
  const damage = await damageOf({ ...runPaths(layoutOf(home), manifest.run), output: folder, seen }, manifest);
  return damage?.replace(/^output\//, `${folder}/`);
}

function noArtifact(run: string, host: Host, state: string | undefined): Fault {
  const known = state === undefined ? `is not known on ${host.description}` : `is ${state} and left nothing yet`;
  return new Fault({
    code: "artifact-none",
    message: `Run ${run} ${known}.`,
    next: "Only a complete run has an artifact: `npx tuneup status` shows where it is.",
  });
}

function notWhole(folder: string, damage: string): Fault {
  return new Fault({
    code: "artifact-damaged",
    message: `What came to ${folder} is not whole: ${damage}`,
    next: "Run it again; if it repeats, look at the disk of this machine.",
    blame: "infrastructure",
  });
}
