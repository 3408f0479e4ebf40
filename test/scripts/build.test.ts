import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { buildAgent } from "../../scripts/build.ts";
import { sha256OfFile } from "../../agent/files.ts";

const checkout = fileURLToPath(new URL("../..", import.meta.url));
let root: string;

/** A copy of what the build reads, to be changed at will. */
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tuneup-build-"));
  for (const part of ["agent", "recipe", "web", "scripts", "package.json", "package-lock.json"]) {
    await cp(join(checkout, part), join(root, part), {
      recursive: true,
      filter: (path) => !path.includes("__pycache__"),
    });
  }
  await symlink(join(checkout, "node_modules"), join(root, "node_modules"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function runAlone(program: string, words: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const child = promisify(execFile)(process.execPath, [program, ...words], { env: { NODE_NO_WARNINGS: "1" } });
  child.child.stdin?.end("{}");
  return child.catch((thrown: unknown) => thrown as { stdout: string; stderr: string });
}

describe("the agent's bundle", () => {
  it("runs as one file wherever it lies, and carries pages and texts", async () => {
    const { path, sha256 } = await buildAgent(root);
    expect(await sha256OfFile(path)).toBe(sha256);
    expect((await stat(path)).size).toBeLessThan(900_000);
    const alone = await mkdtemp(join(root, "alone-"));
    await cp(path, join(alone, "agent.mjs"));
    const refused = await runAlone(join(alone, "agent.mjs"), ["no-such-command"]);
    expect(refused.stderr).toMatch(/^Unknown command "no-such-command"\. Commands: preflight, /);
    // Loads a handler from inside the file; the input lacks what it needs, and says so by name.
    const asked = await runAlone(join(alone, "agent.mjs"), ["environment-ensure"]);
    expect(asked.stdout).toContain("dataDirectory");
    expect(asked.stderr).toMatch(/at (async )?runCommand/);
  });

  it("holds the texts as they are in the tree", async () => {
    // A program of the test's own in the place of agent/main.ts tells what the assets are.
    await writeFile(
      join(root, "agent/main.ts"),
      `import { asset } from "./assets.ts"; import { agentPath } from "./processes.ts";
       const texts = process.argv.slice(2).map((name) => asset(name));
       process.stdout.write(JSON.stringify({ texts, path: agentPath() }));`,
    );
    const { path } = await buildAgent(root);
    const { stdout } = await runAlone(path, ["agent/python/train.py", "agent/environment/base.lock", "web/app.js"]);
    const told = JSON.parse(stdout) as { texts: string[]; path: string };
    const read = (name: string): Promise<string> => readFile(join(root, name), "utf8");
    expect(told.texts).toEqual([
      await read("agent/python/train.py"),
      await read("agent/environment/base.lock"),
      await read("dist/web/app.js"),
    ]);
    expect(told.path).toBe(path);
  });

  it("is left alone until something that went in changes", async () => {
    const first = await buildAgent(root);
    expect(await buildAgent(root)).toEqual({ ...first, built: false });
    for (const changed of ["web/style.css", "agent/python/train.py", "recipe/fault.ts"]) {
      await writeFile(join(root, changed), `${await readFile(join(root, changed), "utf8")}\n`);
      expect((await buildAgent(root)).built, changed).toBe(true);
    }
    await writeFile(join(root, "agent/python/new.py"), "print()\n");
    expect((await buildAgent(root)).built).toBe(true);
    await rm(first.path);
    expect((await buildAgent(root)).built).toBe(true);
    await writeFile(join(root, "dist/build.json"), '{"inputs": {');
    expect((await buildAgent(root)).built).toBe(true);
  });

  it("is the same for the same tree, and two builds at once do no harm", async () => {
    const [one, other] = await Promise.all([buildAgent(root), buildAgent(root)]);
    expect(one.sha256).toBe(other.sha256);
    const now = new Date();
    await utimes(join(root, "agent/main.ts"), now, now);
    expect(await buildAgent(root)).toEqual({ ...one, built: true });
  });

  it("fails in a sentence where it would be too large, lack a text, or have a broken source", async () => {
    const large = join(root, "agent/python/large.py");
    await writeFile(
      large,
      Array.from({ length: 12 }, () =>
        Buffer.from(crypto.getRandomValues(new Uint8Array(60_000))).toString("hex"),
      ).join(""),
    );
    await expect(buildAgent(root)).rejects.toMatchObject({ code: "agent-too-large" });
    await rm(large);
    await writeFile(
      join(root, "agent/files.ts"),
      `${await readFile(join(root, "agent/files.ts"), "utf8")}\n// asset("agent/nowhere.txt")\n`,
    );
    await expect(buildAgent(root)).rejects.toThrow("agent/files.ts reads the asset agent/nowhere.txt");
    await writeFile(join(root, "agent/files.ts"), "export const = 1;");
    await expect(buildAgent(root)).rejects.toMatchObject({
      code: "build-failed",
      message: expect.stringMatching(/^agent\/files\.ts:1: /) as string,
    });
  });
});
