import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";
import { runRead } from "../../../agent/runs/commands.ts";
import { collect, makeHost } from "./harness.ts";

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

test("a run on a full disk fails with the bytes that are free, and goes on when there is room", async ({ skip }) => {
  skip(process.platform !== "linux" || process.getuid?.() !== 0, "needs root on Linux, to mount a small disk");
  const disk = mkdtempSync(join(tmpdir(), "tuneup-disk-"));
  await execa("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]);
  const host = makeHost({}, disk);
  try {
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
  } finally {
    await host.clean();
    await execa("umount", [disk]);
    rmSync(disk, { recursive: true });
  }
});
