import { basename, join } from "node:path";
import { expect } from "vitest";
import { readRecord, sha256OfFile } from "../../agent/files.ts";
import { runManifest } from "../../recipe/lifecycle.ts";
import { pendingIn, reportsOf, type Stage } from "./stage.ts";

/**
 * The criterion of every fault test. The next `tuneup up` succeeds; then nothing is pending, the run is complete and its artifacts are
 * what the manifest says; the next one changes nothing. Never did two trainers run at once. Returns what the first `up` said.
 */
export async function expectSound(stage: Stage, name: string): Promise<string> {
  const { code, said } = await stage.tuneup("up", name);
  expect(said).toContain("Done in");
  expect(code, said).toBe(0);
  await expectComplete(stage, name);
  const before = reportsOf(await stage.run(name)).length;
  const again = await stage.tuneup("up", name);
  expect(again.code, again.said).toBe(0);
  expect(changesIn(again.said)).toEqual([]);
  expect(reportsOf(await stage.run(name))).toHaveLength(before);
  return said;
}

/** Nothing is pending, the run is complete with its artifacts whole, and its trainers came one after the other. */
export async function expectComplete(stage: Stage, name: string): Promise<void> {
  expect(pendingIn((await stage.pulumi("stack", "export", "--stack", name)).said)).toEqual([]);
  const paths = await stage.run(name);
  const manifest = await readRecord(paths.manifest, runManifest);
  expect(manifest?.step).toBe(manifest?.totalSteps);
  expect(manifest?.files.map(({ path }) => path)).toContain("adapter_model.safetensors");
  for (const { path, sha256 } of manifest?.files ?? []) {
    expect(await sha256OfFile(join(paths.output, path)), path).toBe(sha256);
  }
  if (stage.data !== stage.home) await expectBrought(stage, name);
  const attempts = reportsOf(paths).map(({ attempt }) => attempt);
  // A trainer that lived on would report after its successor.
  expect(attempts).toEqual(attempts.toSorted((a, b) => a - b));
  expect(stage.watch.looks).toBeGreaterThan(0);
  expect(stage.watch.mostTrainers).toBeLessThanOrEqual(1);
}

/** What a run on another machine left is on this one too, whole. */
async function expectBrought(stage: Stage, name: string): Promise<void> {
  const { directory, manifest } = await stage.run(name);
  const [there, folder] = [
    await readRecord(manifest, runManifest),
    `${stage.home}/artifacts/${name}/${basename(directory)}`,
  ];
  const here = await readRecord(`${folder}/manifest.json`, runManifest);
  expect(here?.files).toEqual(there?.files);
  for (const { path, sha256 } of here?.files ?? []) expect(await sha256OfFile(join(folder, path)), path).toBe(sha256);
}

/** Every attempt went on with the step after the newest checkpoint that was complete before it. */
export async function expectNoStepLost(stage: Stage, name: string): Promise<void> {
  const reports = reportsOf(await stage.run(name));
  const last = Math.max(...reports.map(({ attempt }) => attempt));
  for (let attempt = 2; attempt <= last; attempt += 1) {
    const saved = reports.filter((report) => report.attempt < attempt && report.kind === "checkpoint");
    const steps = reports.filter((report) => report.attempt === attempt && report.kind === "step");
    const newest = Math.max(0, ...saved.map(({ step = 0 }) => step));
    if (steps.length > 0) expect(Math.min(...steps.map(({ step = 0 }) => step))).toBe(newest + 1);
  }
}

/** The resources that an `up` touched: lines with ✓, but for the tools. */
export function changesIn(said: string): string[] {
  return [...said.matchAll(/^✓ (\S+(?: \S+)*?) {2,}/gm)].map(([, title = ""]) => title).filter((t) => t !== "Tools");
}

/** One clear sentence and an exit code: the text is in it, and no stack trace. */
export function expectSentence({ code, said }: { code: number | null; said: string }, ...texts: (string | RegExp)[]) {
  for (const text of texts) expect(said).toMatch(text);
  expect(code, said).not.toBe(0);
  expect(said).not.toMatch(/^\s+at .+:\d+:\d+\)?$/m);
  expect(said).not.toContain("Traceback");
}
