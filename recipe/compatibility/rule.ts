import type { TrainArguments } from "../arguments.ts";
import type { FaultFacts } from "../fault.ts";
import { Settings } from "./settings.ts";

/** Where the arguments will be used, as far as it decides whether they go together. */
export interface CompatibilityContext {
  readonly device: "cpu" | "cuda";
  /** Cards that the training may use. */
  readonly gpus: number;
  /** Does torchrun start it, one process a card? Default: no, one process on one card. */
  readonly distributed?: boolean;
  /** Optional packages (see `packagesNeeded`) that the environment lacks. Default: it has what is needed. */
  readonly missing?: readonly string[];
}

/** One pair of arguments, or one argument and its surroundings, that does not work. */
export interface Rule {
  /** The argument at fault, the one that a user would change first; a config key elsewhere with its whole path. */
  readonly property: string;
  /** Does the rule forbid these? */
  readonly forbids: (settings: Settings, context: CompatibilityContext) => boolean;
  /** What is wrong, without the property: it is named beside it. */
  readonly message: string | ((settings: Settings) => string);
  /** What to do next. */
  readonly next: string;
}

/** Everything that the rules forbid, in their order. */
export function apply(
  rules: readonly Rule[],
  given: TrainArguments,
  context: CompatibilityContext,
  code = "arguments-incompatible",
): FaultFacts[] {
  const settings = new Settings(given);
  return rules
    .filter(({ forbids }) => forbids(settings, context))
    .map(({ property, message, next }) => ({
      code,
      property: property.includes(".") ? property : `train.${property}`,
      message: typeof message === "string" ? message : message(settings),
      next,
    }));
}
