import { createHash } from "node:crypto";
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { tryLock } from "../../../agent/lock.ts";
import { ownRecord } from "../../../agent/runs/signals.ts";

/**
 * Stands in for agent/python/train.py: same words, reports, lock, checkpoints, exit codes. What it does is in `plan.json` of the run's
 * folder. At `hold` it waits for the file `go` (or a signal), so that a test can act at a known point.
 */
export interface FakePlan {
  readonly steps?: number;
  readonly saveEvery?: number;
  /** Reports every so many steps, as the real one does where they are short. Default: each. */
  readonly reportEvery?: number;
  /** Waits before reporting the step after this one. */
  readonly hold?: number;
  /** Attempts that wait there. Default: all. */
  readonly holdAttempts?: readonly number[];
  /** Waits while loading. */
  readonly holdLoading?: boolean;
  /** It can't load the checkpoint at this step. */
  readonly unloadable?: readonly number[];
  /** Does not react to SIGTERM. */
  readonly deaf?: boolean;
  /** What happens instead of a step. Without `attempts`: at each one. */
  readonly troubles?: readonly {
    readonly attempts?: readonly number[];
    readonly step: number;
    readonly kill?: boolean;
    readonly exit?: number;
    readonly says?: string;
    readonly fault?: { readonly type: string; readonly message: string };
  }[];
  /** Its checkpoints are as those of a large model: with a file that has no digest. */
  readonly largeCheckpoints?: boolean;
  /** Attempts whose adapter is written only in part. */
  readonly tornResults?: readonly number[];
}

const { values } = parseArgs({
  options: {
    "run-directory": { type: "string", default: "" },
    attempt: { type: "string", default: "1" },
    resume: { type: "string" },
    "save-seconds": { type: "string" },
  },
});
const directory = values["run-directory"];
const attempt = Number(values.attempt);
const output = `${directory}/output`;
const plan = JSON.parse(readFileSync(`${directory}/plan.json`, "utf8")) as FakePlan;
const steps = plan.steps ?? 8;
let stopping = false;

const lock = tryLock(`${directory}/trainer.lock`);
if (lock === undefined) process.exit(76);
writeFileSync(`${directory}/trainer.pid`, ownRecord());
const parent = Number(process.env["TUNEUP_PARENT_PID"]);
setInterval(() => (stopping ||= process.ppid !== parent), 20);
let saving = false;
process.on("SIGUSR1", () => (saving = true));
process.on("SIGTERM", () => (stopping ||= plan.deaf !== true));

function report(kind: string, fields: object = {}): void {
  appendFileSync(
    `${directory}/reports.jsonl`,
    `${JSON.stringify({ at: new Date().toISOString(), attempt, kind, ...fields })}\n`,
  );
}

function save(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const header = JSON.stringify({ a: { dtype: "U8", shape: [4], data_offsets: [0, 4] } });
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(`${folder}/adapter_model.safetensors`, Buffer.concat([length, Buffer.from(`${header}abcd`)]));
  writeFileSync(`${folder}/adapter_config.json`, "{}");
}

function checkpoint(step: number): void {
  const folder = `${output}/checkpoint-${step}`;
  save(folder);
  const bytes = readFileSync(`${folder}/adapter_config.json`);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const digest = plan.largeCheckpoints === true ? {} : { sha256 };
  const files = [{ path: "adapter_config.json", bytes: bytes.length, ...digest }];
  writeFileSync(`${folder}/.tuneup-complete`, JSON.stringify({ schemaVersion: 1, step, resumable: true, files }));
  report("checkpoint", { step, bytes: bytes.length, path: folder });
}

function end(code: number): never {
  lock?.release();
  process.exit(code);
}

function stopIfAsked(step: number, inSteps: boolean): void {
  if (!stopping) return;
  if (inSteps) checkpoint(step);
  report("stopped", { step });
  end(75);
}

async function hold(step: number, inSteps: boolean): Promise<void> {
  writeFileSync(`${directory}/holding`, "");
  while (!existsSync(`${directory}/go`)) {
    stopIfAsked(step, inSteps);
    if (saving && inSteps) checkpoint(step);
    saving = false;
    await delay(10);
  }
  rmSync(`${directory}/holding`);
}

function trouble(step: number): void {
  const found = plan.troubles?.find((one) => one.step === step && (one.attempts?.includes(attempt) ?? true));
  if (found === undefined) return;
  if (found.says !== undefined) process.stderr.write(`${found.says}\n`);
  if (found.fault !== undefined) report("fault", { ...found.fault, phase: "training", step });
  if (found.kill === true) process.kill(process.pid, "SIGKILL");
  end(found.exit ?? 1);
}

report("start", { pid: process.pid });
report("phase", { phase: "importing" });
const holds = plan.holdAttempts?.includes(attempt) ?? true;
if (plan.holdLoading === true && holds) await hold(0, false);
const first = values.resume === undefined ? 0 : Number(values.resume.split("-").at(-1));
report("phase", { phase: "preparing" });
if (plan.unloadable?.includes(first) === true) {
  const message = "Error while deserializing header: incomplete metadata";
  report("fault", { type: "SafetensorError", message, phase: "preparing", step: 0 });
  end(1);
}
report("phase", { phase: "training" });
report("begin", { step: first, total: steps, tokens: first * 100 });
for (let step = first + 1; step <= steps; step++) {
  if (plan.hold === step - 1 && holds) await hold(step - 1, true);
  stopIfAsked(step - 1, true);
  trouble(step);
  await delay(5);
  if (step % (plan.reportEvery ?? 1) === 0) report("step", { step, total: steps, tokens: step * 100 });
  report("log", { step, epoch: step / steps, loss: 2 / step, learningRate: 0.001, gradNorm: 1, tokens: step * 100 });
  if (step % (plan.saveEvery ?? 2) === 0) checkpoint(step);
}
report("phase", { phase: "saving" });
save(output);
if (plan.tornResults?.includes(attempt) === true) writeFileSync(`${output}/adapter_model.safetensors`, "torn");
appendFileSync(`${output}/trainer_log.jsonl`, `${JSON.stringify({ current_steps: steps })}\n`);
report("done", { step: steps, total: steps });
end(0);
