import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectSentence, expectSound } from "./soundness.ts";
import { openStage, reportsOf, type Stage } from "./stage.ts";

/** A disk of a few MB below the runs: a small file system in memory that grows later. Only root on Linux may mount one. */
const isRoot = process.platform === "linux" && process.getuid?.() === 0;
const why = "a file system of a few MB can be mounted by root on Linux alone";
const name = "tiny";
let stage: Stage;
let runs: string | undefined;

beforeAll(async () => {
  stage = await openStage();
  await stage.write(name, 20);
});
afterAll(async () => {
  await stage.stop();
  if (runs !== undefined) execFileSync("umount", ["--lazy", runs]);
  await stage.remove();
});

test("a disk that fills up is told in a sentence, and with room the next up converges", async ({ skip }) => {
  skip(!isRoot, why);
  runs = join(stage.home, "runs");
  mkdirSync(runs, { mode: 0o700 });
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=6m,mode=700", "tuneup-test", runs]);
  const { code, said } = await stage.tuneup("up", name);
  expectSentence({ code, said }, /^storage\.dataDirectory: The disk is too full for this run, and .* are free/m);
  expect(said).toMatch(/Free some space/);
  // The fault was the disk's: the trainer had come to its checkpoint or result.
  expect(reportsOf(await stage.run(name)).some(({ kind }) => kind === "step")).toBe(true);

  execFileSync("mount", ["-o", "remount,size=600m", runs]);
  await expectSound(stage, name);
});

test("a disk without room for a single file is told in a sentence too", async ({ skip }) => {
  skip(!isRoot, why);
  const full = join(stage.folder, "full");
  mkdirSync(full);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k,mode=700", "tuneup-test", full]);
  try {
    await writeFile(join(full, "filler"), Buffer.alloc(64 * 1024)).catch(() => undefined);
    await stage.write("second", 3, { storage: { dataDirectory: full } });
    const { code, said } = await stage.tuneup("up", "second");
    expectSentence({ code, said }, /tuneup:storage\.dataDirectory: /, /full|are free/);
  } finally {
    execFileSync("umount", ["--lazy", full]);
    await rm(full, { recursive: true, force: true });
  }
});
