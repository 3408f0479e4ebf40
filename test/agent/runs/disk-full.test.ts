import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";
import { runRead } from "../../../agent/runs/commands.ts";
import { collect, makeHost, until } from "./harness.ts";

/** Fills a disk to its last byte; returns what frees it again. */
function fill(disk: string): () => void {
  const files: string[] = [];
  for (let bytes = 65_536; bytes >= 1; bytes /= 4) {
    try {
      for (;;) {
        files.push(join(disk, `fill-${files.length}`));
        writeFileSync(files.at(-1) ?? "", Buffer.alloc(bytes));
      }
    } catch {
      // Full for this size: a smaller one may still fit.
    }
  }
  return () => {
    for (const file of files) rmSync(file, { force: true });
  };
}

const cannotMount = process.platform !== "linux" || process.getuid?.() !== 0;
const why = "needs root on Linux, to mount a small disk";

/** A host whose data directory is a disk of a size of its own. */
async function onDisk(
  size: string,
  environment: Readonly<Record<string, string>>,
  use: (host: ReturnType<typeof makeHost>, disk: string) => Promise<void>,
): Promise<void> {
  const disk = mkdtempSync(join(tmpdir(), "tuneup-disk-"));
  await execa("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", disk]);
  const host = makeHost({ ...environment }, disk);
  try {
    await use(host, disk);
  } finally {
    await host.clean();
    await execa("umount", ["--lazy", disk]);
    rmSync(disk, { recursive: true });
  }
}

test("a run whose disk gets room before its waits are used up goes on by itself", async ({ skip }) => {
  skip(cannotMount, why);
  await onDisk("100m", { TUNEUP_RUN_BACKOFF_MS: "2000" }, async (host, disk) => {
    const fault = { type: "OSError", message: "[Errno 28] No space left on device" };
    host.plan({ steps: 4, troubles: [{ attempts: [1], step: 3, fault }] });
    await host.runDeclare({ dataDirectory: host.dataDirectory, spec: host.spec() }, collect());
    const waiting = host.runWait({ dataDirectory: host.dataDirectory, run: "mine-1" }, collect());
    waiting.catch(() => undefined);
    // The second of them: after the first wait there was no room yet.
    await Promise.race([until(() => host.events().filter(({ kind }) => kind === "retry").length === 2), waiting]);
    await execa("mount", ["-o", "remount,size=400m", disk]);
    expect((await waiting).status).toMatchObject({ state: "complete", attempt: 2 });
  });
});

test("a run on a full disk fails with the bytes that are free, and goes on when there is room", async ({ skip }) => {
  skip(cannotMount, why);
  await onDisk("1m", {}, async (host, disk) => {
    const input = { dataDirectory: host.dataDirectory, run: "mine-1" };
    host.plan({ steps: 8, hold: 5 });
    await host.runDeclare({ dataDirectory: host.dataDirectory, spec: host.spec() }, collect());
    await host.held();
    const free = fill(disk);
    host.release();
    await expect(host.runWait(input, collect())).rejects.toMatchObject({
      code: "disk-full",
      blame: "infrastructure",
      message: expect.stringMatching(/too full for this run, and \d.* are free at /) as string,
    });
    expect((await runRead(input, collect()))?.status).toMatchObject({ state: "failed", fault: { code: "disk-full" } });
    free();
    await host.runDeclare({ dataDirectory: host.dataDirectory, spec: host.spec() }, collect());
    expect((await host.runWait(input, collect())).status.state).toBe("complete");
  });
});

test("a run that waits for room on a disk without a free byte says so", async ({ skip }) => {
  skip(cannotMount, why);
  await onDisk("1m", { TUNEUP_RUN_BACKOFF_MS: "600000" }, async (host, disk) => {
    const input = { dataDirectory: host.dataDirectory, run: "mine-1" };
    host.plan({ steps: 8, hold: 5 });
    await host.runDeclare({ dataDirectory: host.dataDirectory, spec: host.spec() }, collect());
    await host.held();
    fill(disk);
    host.release();
    const told = async () => (await runRead(input, collect()))?.status.detail ?? "";
    await until(async () => /^(tries again|failed)/.test(await told()));
    expect(await told()).toBe("tries again in 600 s: The disk is full.");
    expect(host.events().at(-2)).toMatchObject({ kind: "retry" });
  });
});
