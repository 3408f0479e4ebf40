import type { TrainArguments } from "../arguments.ts";
import { Settings } from "../compatibility/settings.ts";
import { memoryOf } from "./memory.ts";
import type { ModelShape } from "./model-config.ts";
import type { Proposal } from "./proposal.ts";
import { smallerModels } from "./smaller-models.ts";
import { trainingOf } from "./training.ts";

interface Step {
  readonly text: string;
  readonly train: TrainArguments;
}

/**
 * What would fit into `limit` bytes, cheapest first: Liger's kernels cost nothing, checkpointing time, a smaller batch speed, a shorter
 * cutoff data, quantization precision, ZeRO more cards, a smaller model quality. First the single changes that do; if none does, the
 * shortest run of them together. At most three.
 */
export function proposalsFor(
  question: {
    readonly modelId: string;
    readonly shape: ModelShape;
    readonly train: TrainArguments;
    readonly gpus: number;
    /** Liger and bitsandbytes work on NVIDIA cards only. Default: cuda. */
    readonly device?: "cpu" | "cuda";
  },
  limit: number,
): Proposal[] {
  const { shape, train, gpus } = question;
  const bytesOf = (arguments_: TrainArguments): number => memoryOf(shape, trainingOf(arguments_, shape, gpus)).total;
  const steps = stepsFrom(train, gpus).filter(
    ({ train: changes }) =>
      question.device !== "cpu" ||
      !("enable_liger_kernel" in changes || typeof changes["quantization_bit"] === "number"),
  );
  const single = steps
    .map(({ text, train: changes }) => ({ changes: [text], bytes: bytesOf({ ...train, ...changes }) }))
    .filter(({ bytes }) => bytes <= limit);
  if (single.length > 0) return single.slice(0, 3);
  const taken: Step[] = [];
  for (const step of steps) {
    // A later step of the same arguments takes the place of an earlier one: the batch in halves, 8 bits and then 4.
    const keys = Object.keys(step.train);
    const rest = taken.filter(({ train: changes }) => !Object.keys(changes).some((key) => keys.includes(key)));
    taken.splice(0, taken.length, ...rest, step);
    const bytes = bytesOf(Object.assign({}, train, ...taken.map((one) => one.train)) as TrainArguments);
    if (bytes <= limit) return [{ changes: taken.map(({ text }) => text), bytes }];
  }
  const all = Object.assign({}, train, ...taken.map((one) => one.train)) as TrainArguments;
  const smaller = (with_: TrainArguments): Proposal[] => {
    const memory = (other: ModelShape): number => memoryOf(other, trainingOf(with_, other, gpus)).total;
    return smallerModels(question.modelId, shape, memory, limit);
  };
  const changed = smaller(all).map(({ changes, bytes }) => ({
    changes: [...changes, ...taken.map(({ text }) => text)],
    bytes,
  }));
  return [...smaller(train), ...changed].slice(0, 1);
}

function stepsFrom(train: TrainArguments, gpus: number): Step[] {
  const settings = new Settings(train);
  const steps: Step[] = [];
  const add = (changes: TrainArguments): void => {
    const text = Object.entries(changes).map(([name, value]) => `train.${name}: ${JSON.stringify(value)}`);
    steps.push({ text: text.join(" with "), train: changes });
  };
  if (!settings.on("enable_liger_kernel") && settings.is("stage", "sft", "pt")) add({ enable_liger_kernel: true });
  if (settings.on("disable_gradient_checkpointing")) add({ disable_gradient_checkpointing: false });
  const [batch, accumulation] = [
    settings.number("per_device_train_batch_size"),
    settings.number("gradient_accumulation_steps"),
  ];
  for (let size = batch / 2; size >= 1 && Number.isInteger(size); size /= 2) {
    add({ per_device_train_batch_size: size, gradient_accumulation_steps: (accumulation * batch) / size });
  }
  for (let cutoff = settings.number("cutoff_len") / 2; cutoff >= 512; cutoff /= 2)
    add({ cutoff_len: Math.floor(cutoff) });
  const lora = { finetuning_type: "lora", pure_bf16: false, quantization_bit: null } as const;
  if (!settings.is("finetuning_type", "lora", "oft")) add({ ...lora });
  const bits = settings.has("quantization_bit") ? settings.number("quantization_bit") : 16;
  const adapter = settings.is("finetuning_type", "lora", "oft") ? {} : { finetuning_type: "lora", pure_bf16: false };
  for (const fewer of [8, 4]) if (fewer < bits) add({ ...adapter, quantization_bit: fewer });
  if (gpus > 1 && !settings.has("deepspeed") && bits === 16) add({ deepspeed: "ds_z3_config.json" });
  return steps;
}
