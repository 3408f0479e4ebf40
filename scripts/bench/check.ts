import { execa } from "execa";

const rounds = 5;

/** Prints the time of `tuneup check` on the experiment of 7 billion parameters, which asks no network: the median of five. */
export async function benchCheck(folder: string): Promise<void> {
  const seconds: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    await execa(process.execPath, ["cli/main.ts", "check", "qwen2.5-7b-lora"], { cwd: folder, reject: false });
    seconds.push((performance.now() - start) / 1000);
  }
  const median = seconds.toSorted((a, b) => a - b)[Math.floor(rounds / 2)] ?? NaN;
  console.log(`tuneup check of 7B         ${median.toFixed(2)} s  (bar: 2 s)`);
}
