import type { TrainArguments } from "./arguments.ts";
import type { CheckFinding } from "./check-report.ts";
import type { Gpu } from "./gpus.ts";
import { engineFacts, engineTrouble, ownEngine } from "./engines.ts";
import { environmentBytes } from "./estimates/disk.ts";
import { trackersOf, type Variant, variantFacts, type VariantReason, variantReasons } from "./variants.ts";

/** What is known of the experiment and its host. */
export interface VariantQuestion {
  readonly train: TrainArguments;
  /** LLaMA-Factory's infer_backend, as in `serve.engine`. */
  readonly engine: "huggingface" | "vllm" | "sglang";
  readonly model: {
    readonly id: string;
    /** `quantization_config.quant_method` of its config.json; without it the name decides (-AWQ, -GPTQ-Int4). */
    readonly quantMethod?: string | undefined;
  };
  /** What trains; undefined where nobody knows yet. */
  readonly device?: "cpu" | "cuda" | undefined;
  /** The host's platform and processor, as Node calls them. */
  readonly platform?: string | undefined;
  readonly arch?: string | undefined;
  /** Its GPUs; undefined where it was not asked, or can't tell them. */
  readonly gpus?: readonly Gpu[] | undefined;
  /** Do several processes train together, which torchrun starts? Default: no. */
  readonly distributed?: boolean;
  /** Is the environment with all that is asked for on the host, complete? Undefined where the host was not asked. */
  readonly here?: boolean | undefined;
  /** Likewise the environment of the engine. */
  readonly engineHere?: boolean | undefined;
}

const basis = "size measured on Linux x86-64, Python 3.11";

/**
 * One finding for the environment where the host told of it, one for each variant that is asked for, and one for each thing that no
 * environment of ours can have.
 */
export function variantFindings(question: VariantQuestion): CheckFinding[] {
  const asked = new Map<Variant, VariantReason>();
  for (const reason of variantReasons(question.train)) {
    if (!asked.has(reason.variant)) asked.set(reason.variant, reason);
  }
  return [
    ...environmentFinding(question, [...asked.keys()]),
    ...[...asked.values()].map((reason) => variantFinding(reason, question)),
    ...[launcherFinding(question), ...argumentFindings(question.train)].filter((found) => found !== undefined),
    ...[baseFinding(question), engineFinding(question)].filter((found) => found !== undefined),
  ];
}

function environmentFinding({ here }: VariantQuestion, variants: readonly Variant[]): CheckFinding[] {
  if (here === undefined) return [];
  const bytes = environmentBytes + variants.reduce((sum, name) => sum + variantFacts[name].bytes, 0);
  const size = `${(bytes / 1e9).toFixed(1)} GB`;
  const message = here
    ? `The Python environment is here (at most ${size} on disk).`
    : `The Python environment is not here yet: \`up\` installs it, at most ${size} on disk.`;
  const code = here ? "environment-here" : "environment-installed";
  return [{ area: "environment", level: "ok", code, message, values: { size }, figure: bytes, unit: "bytes", basis }];
}

function shown(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function variantFinding({ variant, property, value }: VariantReason, question: VariantQuestion): CheckFinding {
  const { packages, bytes, withoutGpu, what } = variantFacts[variant];
  const shared = { area: "environment", property, figure: bytes, unit: "bytes", basis } as const;
  const text = `${property.replace("train.", "")}: ${shown(value)}`;
  if (withoutGpu === "nothing" && (question.device === "cpu" || question.platform === "darwin")) {
    return {
      ...shared,
      level: "error",
      code: "variant-needs-cuda",
      message: `${text} needs ${packages[0]}, ${what}, which works on NVIDIA GPUs only, and this host trains without one.`,
      next: `Remove \`${property}\`, or train on a GPU (compute.device: cuda).`,
    };
  }
  const size = bytes < 1e6 ? "less than 1 MB" : `${Math.round(bytes / 1e6)} MB`;
  const names = `variant ${variant} (${packages.join(", ")}`;
  const said = {
    unknown: `The environment has the ${names}: ${size} on disk), because of ${text}.`,
    here: `The ${names}: ${size} on disk) is here, because of ${text}.`,
    missing: `The ${names}) will be installed, ${size}, because of ${text}.`,
  };
  return {
    ...shared,
    level: "ok",
    message: said[question.here === undefined ? "unknown" : question.here ? "here" : "missing"],
    ...(question.here === undefined
      ? {}
      : {
          code: question.here ? "variant-here" : "variant-installed",
          values: { variant, packages: packages.join(", "), size, reason: text },
        }),
    ...(loginOf[variant] === undefined ? {} : { next: loginOf[variant] }),
  };
}

/** Trackers keep their key in a file of their own; ours is no way for it. */
const loginOf: Partial<Record<Variant, string>> = {
  wandb: "Log in on the host once (`wandb login`): the key is read from ~/.netrc.",
  swanlab: "Log in on the host once (`swanlab login`): the key is read from ~/.swanlab.",
};

/** LLaMA-Factory's parser refuses DeepSpeed outside torchrun, and a run of one process is started without it. */
function launcherFinding({ train, distributed = false }: VariantQuestion): CheckFinding | undefined {
  const config = train["deepspeed"];
  if (distributed || config === undefined || config === null || config === "") return undefined;
  return {
    area: "environment",
    level: "error",
    code: "launcher-missing",
    property: "train.deepspeed",
    message: "DeepSpeed runs under torchrun only, and a run on one card is one process started without it.",
    next: "Remove it; lora, quantization_bit: 4, use_galore or use_badam train in less memory on one GPU.",
  };
}

/** What LLaMA-Factory takes and no lock of ours has: the argument, the values (all if empty), why, and what to do. */
const unoffered: readonly (readonly [
  argument: string,
  values: readonly unknown[] | undefined,
  needs: string,
  next: string,
])[] = [
  [
    "use_unsloth",
    undefined,
    "unsloth, which asks for a torch and a transformers of its own",
    "Remove it; enable_liger_kernel saves memory as well.",
  ],
  ["use_kt", undefined, "ktransformers, with its own forks of transformers and accelerate", "Remove it."],
  [
    "mixture_of_depths",
    undefined,
    "mixture-of-depth, which is older than the locked transformers",
    "Remove it; use LoRA or freeze to train less.",
  ],
  [
    "export_quantization_bit",
    undefined,
    "gptqmodel, which is built from source against torch and CUDA",
    "Remove it, and quantize the exported model with tools of your own.",
  ],
  ["quantization_method", ["eetq"], "eetq, which is built from source against torch and CUDA", "Use bnb."],
  ["quantization_method", ["hqq"], "an hqq that the locked transformers 5.5.4 refuses (not available yet)", "Use bnb."],
  ["use_ray", undefined, "ray", "Remove it: one host needs none."],
  ["use_mca", undefined, "mcore_adapter", "Remove it, or set USE_MCA aside."],
  [
    "optim",
    ["lomo", "adalomo", "grokadamw", "schedule_free_radam", "schedule_free_adamw", "schedule_free_sgd", "stable_adamw"],
    "a package of its own",
    "Use adamw_torch, or one of use_galore, use_apollo, use_badam.",
  ],
  ["optim", ["adamw_torch_4bit", "adamw_torch_8bit"], "torchao", "Use adamw_8bit, which is bitsandbytes'."],
  ["optim", ["adamw_apex_fused", "adamw_anyprecision"], "apex or torchdistx", "Use adamw_torch_fused."],
];

/** `report_to` of which nothing is installed; all and none need nothing. */
const trackers = ["all", "none", "swanlab", "tensorboard", "wandb"];

function argumentFindings(train: TrainArguments): CheckFinding[] {
  const found: CheckFinding[] = [];
  const refuse = (property: string, value: unknown, needs: string, next: string): void => {
    found.push({
      area: "environment",
      level: "error",
      code: "variant-unoffered",
      property: `train.${property}`,
      message: `${property}: ${shown(value)} needs ${needs}; no lock of the environment has it.`,
      next,
    });
  };
  for (const [argument, values, needs, next] of unoffered) {
    const value = train[argument];
    const on = value !== undefined && value !== null && value !== false && value !== "";
    if (on && (values?.includes(value) ?? true)) refuse(argument, value, needs, next);
  }
  for (const tracker of trackersOf(train)) {
    if (trackers.includes(tracker)) continue;
    refuse("report_to", tracker, "a package of its own", `Use one of ${trackers.slice(1).join(", ")}.`);
  }
  if (train["flash_attn"] === "fa2" || train["flash_attn"] === "fa3") {
    found.push({
      area: "environment",
      level: "warning",
      code: "flash-attention-missing",
      property: "train.flash_attn",
      message: `flash_attn: ${train["flash_attn"]} needs flash-attn, which no lock has (it is built against torch and CUDA); LLaMA-Factory falls back to the default.`,
      next: "Set it to sdpa, which torch brings, or auto.",
    });
  }
  return found;
}

/** A base that is quantized already: what reads it must be there. */
function baseFinding({ model }: VariantQuestion): CheckFinding | undefined {
  const named = /[-_](awq|gptq|aqlm|eetq)\b/i.exec(model.id)?.[1];
  const method = (model.quantMethod ?? named)?.toLowerCase();
  if (method === undefined || !["awq", "gptq", "aqlm", "eetq"].includes(method)) return undefined;
  return {
    area: "environment",
    level: "error",
    code: "variant-unoffered",
    property: "model.id",
    message: `${model.id} is quantized by ${method.toUpperCase()}, and what reads it (${method === "aqlm" || method === "eetq" ? method : "gptqmodel 5"}) is built from source against torch and CUDA; no lock of the environment has it.`,
    next: "Take the same model without the quantization, and set `train.quantization_bit: 4` (QLoRA) for the same memory.",
  };
}

/** vLLM and SGLang pin a torch of their own (vLLM up to 0.11: 2.8), so that they can't share the trainer's environment. */
function engineFinding(question: VariantQuestion): CheckFinding | undefined {
  const { engine, engineHere } = question;
  if (engine === "huggingface") return undefined;
  const shared = { area: "environment", property: "serve.engine" } as const;
  const own = ownEngine(engine);
  if (own === undefined) {
    return {
      ...{ ...shared, level: "error", code: "engine-unavailable" },
      message: `${engine} pins another torch than the one that trains, and an environment of its own for it is not made yet.`,
      next: "Set `tuneup:serve.engine` to vllm or huggingface.",
    };
  }
  const trouble = engineTrouble(own, question);
  if (trouble !== undefined) return { ...shared, level: "error", ...trouble };
  const { package: what, cuda, bytes, downloadBytes } = engineFacts[own];
  const size = `${(bytes / 1e9).toFixed(1)} GB`;
  const download = `${(downloadBytes / 1e9).toFixed(1)} GB`;
  const parts = `${what} with its own torch for CUDA ${cuda}: ${size} on disk`;
  return {
    ...{ ...shared, level: "ok", figure: bytes, unit: "bytes", basis },
    code: engineHere === true ? "engine-here" : "engine-installed",
    message:
      engineHere === true
        ? `The environment of ${engine} (${parts}) is here.`
        : `${engine} gets an environment of its own (${parts}, a download of ${download}).`,
    values: { engine, package: what, cuda, size, download },
  };
}
