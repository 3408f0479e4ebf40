import { execa } from "execa";
import { fileURLToPath } from "node:url";
import { homeOf } from "../recipe/home.ts";
import { benchCheck } from "./bench/check.ts";
import { benchData } from "./bench/data.ts";
import { benchPreview } from "./bench/preview.ts";
import { benchUp } from "./bench/up.ts";

/**
 * `npm run bench [-- up | preview | check | data [--large]]`: how long what a user waits for takes on this machine, with ratios to a yardstick.
 * Works in the data directory that the other commands use, on an experiment `bench` of its own, and removes it again.
 * `preview` needs the `local` experiment to be up; `check` and `data` need nothing but, to count tokens, a model that is here.
 */
const wanted = process.argv.slice(2);
if (wanted.includes("data")) await benchData(homeOf(process.env), { large: wanted.includes("--large") });
const root = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");
if (wanted.length === 0 || wanted.includes("check")) await benchCheck(root);
const others = wanted.filter((word) => !["data", "--large", "check"].includes(word));
if (wanted.length === 0 || others.length > 0) await benchUpdates(others);

/** Those that need Pulumi. */
async function benchUpdates(chosen: readonly string[]): Promise<void> {
  const folder = root;
  const { stdout } = await execa(process.execPath, [`${folder}/cli/main.ts`, "env"], { stderr: "inherit" });
  const exports = [...stdout.matchAll(/^export (\w+)='(.*)'$/gm)].map(
    ([, name = "", value = ""]) => [name, value] as const,
  );
  const environment = { ...Object.fromEntries(exports), TUNEUP_HOME: homeOf(process.env) };
  process.env["PATH"] = environment["PATH" as keyof typeof environment];

  if (chosen.length === 0 || chosen.includes("up")) await benchUp(folder, "bench", environment);
  if (chosen.length === 0 || chosen.includes("preview")) await benchPreview(folder, "local", environment);
}
