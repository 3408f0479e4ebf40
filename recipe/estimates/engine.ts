/** Python, torch and LLaMA-Factory's imports in one process (measured: 0.93 GB in all with 0.27 GB of weights). */
export const engineOverheadBytes = 0.66e9;

/**
 * Memory that one engine needs beside nothing else: weights as they are on disk (bf16), a tenth for buffers and the
 * cache of one conversation, and the process itself.
 */
export function engineBytes(weightsBytes: number): number {
  return Math.round(engineOverheadBytes + 1.1 * weightsBytes);
}
