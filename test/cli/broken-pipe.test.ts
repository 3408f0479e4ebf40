import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

test("a reader that has enough ends a command quietly", async () => {
  const home = await mkdtemp(join(tmpdir(), "tuneup-pipe-"));
  try {
    // `true` has gone long before the first line comes.
    const { stderr, exitCode } = await execa(
      "bash",
      ["-c", 'set -o pipefail; "$0" cli/main.ts status local | true', process.execPath],
      {
        ...{ cwd: root, reject: false, env: { TUNEUP_HOME: home, TUNEUP_LANGUAGE: "en" } },
      },
    );
    expect(stderr).toBe("");
    expect(exitCode).toBe(0);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});
