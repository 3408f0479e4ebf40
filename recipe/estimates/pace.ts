import type { Card } from "./cards.ts";
import type { ModelShape } from "./model-config.ts";
import { parametersOf } from "./parameters.ts";
import type { Training } from "./training.ts";

/** The data as training sees it, rows cut at cutoff_len. */
export interface Rows {
  /** Tokens of a row, on average. */
  readonly mean: number;
  /** Tokens of the longest row. */
  readonly longest: number;
}

/** How long it takes, and how sure that is. */
export interface Pace {
  readonly tokensPerSecond: number;
  readonly seconds: number;
  /** The true time is within this factor of `seconds`. */
  readonly factor: number;
}

/**
 * `launch`: seconds a layer that the CPU needs to start its kernels, forward and back; `efficiency`: share of the datasheet's rate that full
 * batches reach; both read off full rows on one H200 (measured.json). `uneven`: what rows of all lengths cost against full rows; with it six
 * speeds on one H100, rows of 602 tokens on average, are met within 15 %.
 */
const measured = { launch: 0.0076, efficiency: 0.4, uneven: 1.7 } as const;

/** What recomputation adds to work and launches; 8 bit matrices are taken apart at each use. */
const recomputation = { work: 1.5, launch: 1.33 } as const;
const launchOfBits = (bits: number): number => (bits === 8 ? 2.1 : 1);

/**
 * Seconds of `microSteps` batches. One costs the larger of starting its kernels and doing its work: 4 FLOPs for each parameter and token
 * (6 where weights are trained), half as much again with checkpointing, on rows padded to the longest of the batch.
 */
export function paceOf(
  shape: ModelShape,
  training: Training,
  run: { readonly card: Card | undefined; readonly rows: Rows; readonly microSteps: number; readonly packed: boolean },
): Pace {
  const { batch, checkpointing, method, bits, depth } = training;
  const { total, embeddings } = parametersOf(shape);
  const { mean, longest } = run.rows;
  const width = run.packed ? training.cutoff : mean + ((longest - mean) * (batch - 1)) / (batch + 1);
  const worked = activeParameters(shape, total) - embeddings;
  const backward = method === "full" ? 4 : 2 * (depth / shape.layers) * (method === "freeze" ? 2 : 1);
  const work = (2 + backward) * worked * batch * width * (checkpointing ? recomputation.work : 1);
  const rate = (run.card?.teraflops ?? cpuTeraflops) * 1e12 * measured.efficiency;
  const launch = shape.layers * measured.launch * (checkpointing ? recomputation.launch : 1) * launchOfBits(bits);
  const seconds = run.microSteps * Math.max(work / rate, run.card === undefined ? 0 : launch) * measured.uneven;
  const tokens = run.microSteps * batch * (run.packed ? width : mean);
  const hopper = run.card !== undefined && run.card.capability === 9;
  return { seconds, tokensPerSecond: tokens / seconds, factor: hopper ? 1.5 : run.card === undefined ? 4 : 2.5 };
}

/** A CPU's, by the embedded model on two shared cores: 42 s for 24 steps. Cores and instruction sets differ by far more than cards. */
const cpuTeraflops = 0.25;

/** Of a mixture of experts a token goes through some. */
function activeParameters({ experts, hidden }: ModelShape, total: number): number {
  if (experts === undefined) return total;
  return total - experts.layers * (experts.count - experts.used) * 3 * hidden * experts.intermediate;
}
