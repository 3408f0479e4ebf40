import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { expect, test } from "vitest";
import { bootNow } from "../../../agent/runs/signals.ts";

const script = fileURLToPath(new URL("../../../agent/python/train.py", import.meta.url));

/** The real trainer up to where it would import LLaMA-Factory: there it finds no spec, and says so with 1. */
async function codeOf(directory: string, token: string): Promise<{ code: number | undefined; said: string }> {
  const env = { TUNEUP_SUPERVISOR_TOKEN: token };
  const words = [script, "--run-directory", directory, "--attempt", "1"];
  const { exitCode, stderr } = await execa("python3", words, { env, reject: false });
  return { code: exitCode, said: stderr };
}

test("a trainer ends before it does anything if its supervisor was taken over, and by hand nobody asks", async () => {
  const directory = mkdtempSync(join(tmpdir(), "tuneup-token-"));
  try {
    expect((await codeOf(directory, "old")).code).toBe(76);
    writeFileSync(join(directory, "supervisor.token"), "new");
    expect(await codeOf(directory, "old")).toEqual({ code: 76, said: "Another supervisor has taken this run over." });
    for (const token of ["new", ""]) {
      const { code, said } = await codeOf(directory, token);
      expect(said).toContain("spec.json");
      expect(code).toBe(1);
    }
    const kernels = process.platform === "linux" ? `${bootNow() ?? ""}\\n\\d+\\n` : "";
    expect(readFileSync(join(directory, "trainer.pid"), "utf8")).toMatch(new RegExp(`^\\d+\\n${kernels}$`));
  } finally {
    rmSync(directory, { recursive: true });
  }
});
