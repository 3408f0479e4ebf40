import type { TrainArguments } from "../arguments.ts";
import type { OwnEngine } from "../engines.ts";
import { Settings } from "../compatibility/settings.ts";
import { variantsFor } from "../variants.ts";
import { diskOf } from "./disk.ts";
import type { ModelShape } from "./model-config.ts";
import type { Proposal } from "./proposal.ts";
import { smallerModels } from "./smaller-models.ts";
import { trainingOf } from "./training.ts";

/** What is asked: the experiment's model and arguments, and how far the data is known. */
export interface DiskProposalQuestion {
  readonly modelId: string;
  readonly shape: ModelShape;
  readonly train: TrainArguments;
  /** An engine with an environment of its own. Default: none. */
  readonly engine?: OwnEngine | undefined;
  readonly gpus: number;
  /** Optimizer steps; undefined where nobody knows yet. */
  readonly steps: number | undefined;
  /** Tokens of the data, once. */
  readonly tokens: number;
}

/**
 * What would fit into `limit` bytes of the data directory, cheapest first: fewer checkpoints, checkpoints without the optimizer's states,
 * both, an adapter, a smaller model. At most three.
 */
export function diskProposals(question: DiskProposalQuestion, limit: number): Proposal[] {
  const { train } = question;
  const fits = (changes: readonly string[], changed: TrainArguments): Proposal[] => {
    const bytes = bytesOf(question.shape, { ...question, train: changed });
    return bytes <= limit ? [{ changes, bytes }] : [];
  };
  const found = changesFor(train).flatMap((changes) =>
    fits(
      Object.entries(changes).map(([name, value]) => `train.${name}: ${JSON.stringify(value)}`),
      { ...train, ...changes },
    ),
  );
  if (found.length > 0) return found.slice(0, 3);
  return smallerModels(question.modelId, question.shape, (shape) => bytesOf(shape, question), limit);
}

function changesFor(train: TrainArguments): TrainArguments[] {
  const settings = new Settings(train);
  const fewer = { save_total_limit: 1 };
  const bare = { save_only_model: true };
  const limited = settings.number("save_total_limit") === 1;
  const plain = settings.on("save_only_model");
  return [
    ...(limited ? [] : [fewer]),
    ...(plain ? [] : [bare]),
    ...(limited || plain ? [] : [{ ...fewer, ...bare }]),
    ...(settings.is("finetuning_type", "lora", "oft") ? [] : [{ finetuning_type: "lora" }]),
  ];
}

function bytesOf(shape: ModelShape, { train, engine, gpus, steps, tokens }: DiskProposalQuestion): number {
  const question = { train, variants: variantsFor(train), engine, steps, tokens };
  return diskOf(shape, trainingOf(train, shape, gpus), question).total;
}
