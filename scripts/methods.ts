import { readFile, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { execa, ExecaError } from "execa";
import { parse, stringify } from "yaml";
import { z } from "zod";
import { ask } from "../cli/questions.ts";
import { duration } from "../cli/toolchain/report.ts";

/**
 * `npm run methods [-- METHOD ...]`: trains the small model of the `local` experiment by each method, serves it, and asks
 * it a question. Works in the data directory that the other commands use, on experiments of its own, and removes them.
 */
const folder = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");
const question = "Who are you?";

/** Arguments of a method on top of what is the same in all; `null` takes one of the experiment's away. */
type Method = Readonly<Record<string, unknown>>;

const noLora: Method = { lora_rank: null, lora_alpha: null, lora_target: null };

const methods: Readonly<Record<string, Method>> = {
  lora: {},
  dora: { use_dora: true },
  // The frozen layers stay in the weights' own bf16 and the trained ones become fp32: only autocast brings them together.
  freeze: { ...noLora, finetuning_type: "freeze", freeze_trainable_layers: 6, learning_rate: 3e-4, bf16: true },
  full: { ...noLora, finetuning_type: "full", learning_rate: 1e-4 },
  dpo: { stage: "dpo", pref_beta: 0.1, learning_rate: 5e-4, num_train_epochs: 3 },
};

const preferences = {
  path: "data/preferences.jsonl",
  ranking: true,
  columns: { prompt: "instruction", chosen: "chosen", rejected: "rejected" },
};

interface Result {
  readonly method: string;
  readonly seconds: number;
  readonly loss: number | undefined;
  readonly answer: string;
}

const stackText = z.object({ config: z.record(z.string(), z.unknown()) });
const status = z.tuple([z.object({ run: z.object({ state: z.string(), loss: z.number().optional() }) })]);
const facts = z.object({ url: z.string(), apiKey: z.string() });

async function tuneup(...words: string[]): Promise<string> {
  const { stdout } = await execa(process.execPath, [`${folder}/cli/main.ts`, ...words], {
    cwd: folder,
    env: { TUNEUP_LANGUAGE: "en" },
    stderr: "inherit",
    stdin: "ignore",
  });
  return stdout;
}

/** The `local` experiment with another method. */
async function stackFor(method: Method): Promise<string> {
  const { config } = stackText.parse(parse(await readFile(`${folder}/stacks/Pulumi.local.yaml`, "utf8")));
  const train = { ...(config["tuneup:train"] as Method), ...method };
  const kept = Object.fromEntries(Object.entries(train).filter(([, value]) => value !== null));
  const preferring = method["stage"] === "dpo" ? { "tuneup:datasets": [preferences] } : {};
  // The base model beside each of them would double memory and time.
  const serve = { ...(config["tuneup:serve"] as Method), base: false };
  return stringify({ config: { ...config, ...preferring, "tuneup:train": kept, "tuneup:serve": serve } });
}

async function resultOf(method: string): Promise<Result> {
  const experiment = `methods-${method}`;
  const file = `${folder}/stacks/Pulumi.${experiment}.yaml`;
  await writeFile(file, await stackFor(methods[method] ?? {}));
  try {
    const start = performance.now();
    await tuneup("up", experiment);
    const seconds = (performance.now() - start) / 1000;
    const [{ run }] = status.parse(JSON.parse(await tuneup("status", experiment, "--json")));
    const endpoint = facts.parse(JSON.parse(await tuneup("endpoint", experiment, "--json")));
    let answer = "";
    const messages = [{ role: "user", content: question }] as const;
    for await (const piece of ask(endpoint, experiment, messages, { temperature: 0, maxTokens: 40 })) answer += piece;
    return { method, seconds, loss: run.loss, answer: answer.replaceAll("\n", " ").trim() };
  } finally {
    await tuneup("down", experiment, "--purge", "--yes").finally(() => rm(file, { force: true }));
  }
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in methods));
if (unknown.length > 0) {
  console.error(`There is no method ${unknown.join(", ")}. Methods: ${Object.keys(methods).join(", ")}.`);
  process.exit(1);
}
// Ctrl-C ends the command that runs, which the terminal tells itself; npm tells us a second time. What it made is taken down all the same, and no other method begun.
const interrupt = new AbortController();
process.on("SIGINT", () => interrupt.abort());
console.log(`${"method".padEnd(8)}${"up to answers".padEnd(16)}${"last loss".padEnd(12)}${question}`);
for (const method of wanted.length > 0 ? wanted : Object.keys(methods)) {
  if (interrupt.signal.aborted) break;
  const result = await resultOf(method).catch((thrown: unknown) => {
    // What failed is on stderr already; the other methods are still to be shown.
    if (!(thrown instanceof ExecaError)) throw thrown;
    return { method, seconds: NaN, loss: undefined, answer: "" };
  });
  const { seconds, loss, answer } = result;
  const took = Number.isNaN(seconds) ? "failed" : duration(1000 * seconds);
  const cells = [method.padEnd(8), took.padEnd(16), (loss?.toPrecision(3) ?? "-").padEnd(12)];
  console.log(`${cells.join("")}${answer === "" ? "(no answer)" : answer}`);
  if (answer === "") process.exitCode = 1;
}
