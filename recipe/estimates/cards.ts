/** A GPU as NVIDIA sells it. */
export interface Card {
  /** What `tuneup:compute.gpu` takes. */
  readonly name: string;
  /** As nvidia-smi shows it, in GiB: less than what is printed on the box. */
  readonly memoryGiB: number;
  /** CUDA compute capability; bf16 needs 8.0 (Ampere). */
  readonly capability: number;
  /** Dense matrix products in bf16 (fp16 before Ampere), 1e12 FLOP/s by the datasheet. */
  readonly teraflops: number;
}

const card = (name: string, memoryGiB: number, capability: number, teraflops: number): Card => ({
  name,
  memoryGiB,
  capability,
  teraflops,
});

/**
 * Sources, read by 2026-11: NVIDIA's datasheets (memory, dense rates) and its list of CUDA GPUs (compute capability). Memory and rate of
 * H100-80GB and H200 were seen on such cards. No prices: they change by the week and the seller; `compute.pricePerHour` says yours.
 */
export const cards: readonly Card[] = [
  card("P100-16GB", 16, 6.0, 19),
  card("V100-16GB", 16, 7.0, 125),
  card("V100-32GB", 32, 7.0, 125),
  card("T4", 15, 7.5, 65),
  card("RTX-2080-Ti", 11, 7.5, 54),
  card("A100-40GB", 40, 8.0, 312),
  card("A100-80GB", 80, 8.0, 312),
  card("A800-80GB", 80, 8.0, 312),
  card("A10", 22.5, 8.6, 125),
  card("A10G", 22.5, 8.6, 70),
  card("A40", 45, 8.6, 150),
  card("RTX-A6000", 48, 8.6, 155),
  card("RTX-3060", 12, 8.6, 51),
  card("RTX-3090", 24, 8.6, 71),
  card("L4", 22.5, 8.9, 121),
  card("L40S", 45, 8.9, 362),
  card("RTX-4090", 24, 8.9, 165),
  card("RTX-6000-Ada", 48, 8.9, 364),
  card("H20", 95.6, 9.0, 148),
  card("H100-80GB", 79.6, 9.0, 989),
  card("H800-80GB", 79.6, 9.0, 989),
  card("H200", 140.4, 9.0, 989),
  card("RTX-5090", 31.8, 12.0, 210),
];

/** The card of this name: our own, or what nvidia-smi calls it (`NVIDIA A100-SXM4-80GB`); undefined for one that is not in the table. */
export function cardOf(name: string, memoryBytes?: number): Card | undefined {
  const words = wordsOf(name);
  const fitting = cards.filter((known) =>
    wordsOf(known.name).every((word) => words.includes(word) || /^\d+gb$/.test(word)),
  );
  const sized = fitting.filter((known) => wordsOf(known.name).every((word) => words.includes(word)));
  const candidates = sized.length > 0 ? sized : fitting;
  const size = memoryBytes === undefined ? undefined : memoryBytes / 2 ** 30;
  return candidates.toSorted((a, b) =>
    size === undefined
      ? a.memoryGiB - b.memoryGiB
      : Math.abs(a.memoryGiB - size) - Math.abs(b.memoryGiB - size) || b.name.length - a.name.length,
  )[0];
}

/** Ampere and later can compute in bf16. */
export function hasBf16({ capability }: Card): boolean {
  return capability >= 8;
}

function wordsOf(name: string): string[] {
  return name.toLowerCase().split(/[^a-z0-9]+/);
}
