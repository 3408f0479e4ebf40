import type { TrainArguments } from "../arguments.ts";
import type { FaultFacts } from "../fault.ts";
import { dataRules } from "./data.ts";
import { distributionRules, loadingRules, precisionRules } from "./hardware.ts";
import { laterRules } from "./later.ts";
import { methodRules } from "./method.ts";
import { modelRules } from "./model.ts";
import { missingPackages, packagesNeeded } from "./packages.ts";
import { rangeRules } from "./ranges.ts";
import { apply, type CompatibilityContext, type Rule } from "./rule.ts";
import { scheduleRules } from "./schedule.ts";
import { stageRules } from "./stages.ts";

export { packagesNeeded, type NeededPackage } from "./packages.ts";
export type { CompatibilityContext } from "./rule.ts";

/** Every rule of LLaMA-Factory's parser, the classes that it fills, and transformers' TrainingArguments. */
export const parserRules: readonly Rule[] = [
  ...modelRules,
  ...dataRules,
  ...scheduleRules,
  ...precisionRules,
  ...loadingRules,
  ...methodRules,
  ...stageRules,
  ...distributionRules,
];

/**
 * What LLaMA-Factory's own parser would refuse. A test runs the real parser on the same arguments and gets the same verdict. `given` is all
 * that LLaMA-Factory gets, as `renderTraining` gives it; names, kinds and choices are `checkArguments`'s.
 */
export function parserFaults(given: TrainArguments, context: CompatibilityContext): FaultFacts[] {
  const asked = new Set(packagesNeeded(given).flatMap((one) => (one.asked === "parser" ? [one.package] : [])));
  const missing = (context.missing ?? []).filter((name) => asked.has(name));
  return [...apply(parserRules, given, context), ...missingPackages(given, { ...context, missing })];
}

/** What the parser would refuse, and what it lets pass although training fails later. Each with property, sentence and next step. */
export function incompatibilities(given: TrainArguments, context: CompatibilityContext): FaultFacts[] {
  return [
    ...apply([...parserRules, ...laterRules], given, context),
    ...apply(rangeRules, given, context, "argument-value"),
    ...missingPackages(given, context),
  ];
}
