import { bundledModels, bundledShape } from "./bundled.ts";
import type { ModelShape } from "./model-config.ts";
import { parametersOf } from "./parameters.ts";
import type { Proposal } from "./proposal.ts";

/** The largest bundled model of the same line for which `bytesOf` stays within `limit`; none where none does. */
export function smallerModels(
  modelId: string,
  shape: ModelShape,
  bytesOf: (smaller: ModelShape) => number,
  limit: number,
): Proposal[] {
  const own = parametersOf(shape).total;
  const line = /qwen[\d.]+|llama-[\d.]+|smollm2/i.exec(modelId)?.[0].toLowerCase();
  return bundledModels()
    .filter(
      ({ id }) => line !== undefined && id.toLowerCase().includes(`${line}-`) && !/coder|math|base|2507/i.test(id),
    )
    .filter(({ id }) => /instruct/i.test(id) === /instruct/i.test(modelId))
    .flatMap(({ id }) => {
      const smaller = bundledShape(id);
      if (smaller === undefined || parametersOf(smaller).total >= own) return [];
      const bytes = bytesOf(smaller);
      return bytes <= limit ? [{ changes: [`model.id: ${id}`], bytes }] : [];
    })
    .toSorted((a, b) => b.bytes - a.bytes)
    .slice(0, 1);
}
