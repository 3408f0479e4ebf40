import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { entriesBeyond } from "./split-lock.ts";

/**
 * `npm run lock:webui`: compiles cli/webui/requirements.in into what LlamaBoard needs beyond LLaMA-Factory's environment. What
 * both have stays as the environment has it, whatever gradio says of versions: it must not change what trains.
 */
const root = fileURLToPath(new URL("..", import.meta.url));
const bases = ["base", "torch"].map((name) => `${root}agent/environment/${name}.lock`);

const folder = await mkdtemp(join(tmpdir(), "tuneup-lock-"));
try {
  const locks = await Promise.all(bases.map((path) => readFile(path, "utf8")));
  const pins = locks.flatMap((text) => [...text.matchAll(/^[A-Za-z0-9_.-]+==[^\\\n]+/gm)].map(([pin]) => pin.trim()));
  const overrides = join(folder, "overrides.txt");
  await writeFile(overrides, `${pins.join("\n")}\n`);
  const words = ["pip", "compile", "--universal", "--python-version", "3.11", "--generate-hashes", "--no-header"];
  const { stdout } = await promisify(execFile)(
    "uv",
    [...words, "--no-annotate", "--quiet", "--overrides", overrides, `${root}cli/webui/requirements.in`],
    { maxBuffer: 64 * 2 ** 20 },
  );
  const entries = await entriesBeyond(stdout, bases);
  const header = "# Compiled by `npm run lock:webui` from requirements.in. Do not edit.\n";
  await writeFile(`${root}cli/webui/webui.lock`, `${header}${entries.join("\n")}\n`);
  console.log(`cli/webui/webui.lock: ${entries.length} packages`);
} finally {
  await rm(folder, { recursive: true });
}
