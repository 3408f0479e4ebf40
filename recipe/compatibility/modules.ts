import type { TrainArguments } from "../arguments.ts";
import type { ModelShape } from "../estimates/model-config.ts";
import type { FaultFacts } from "../fault.ts";
import { nearest } from "../nearest.ts";
import { Settings } from "./settings.ts";

/** What layers of dense Qwen2, Qwen3 and Llama are made of: transformers 5.5.4, modeling_qwen2.py, modeling_qwen3.py, modeling_llama.py. */
const projections = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"] as const;
const parts = ["self_attn", "mlp", "input_layernorm", "post_attention_layernorm"] as const;
const outside = ["embed_tokens", "norm", "lm_head"] as const;

/** An argument that names modules of the model. */
interface Naming {
  readonly argument: string;
  readonly names: readonly string[];
  /** Is it used? */
  readonly when: (settings: Settings) => boolean;
  /** Does the whole list stand for all of them? */
  readonly all?: boolean;
}

/**
 * Names in `lora_target`, `additional_target`, `freeze_trainable_modules` and `freeze_extra_modules` that the model does not have. LLaMA-Factory 0.9.5
 * (model/adapter.py) hands lists of names to peft, which compares their ends and is silent about those that match nothing if another one
 * does; `all` counts alone. Mixtures of experts are not looked at: what their experts are made of depends on the release of transformers.
 */
export function moduleFaults(train: TrainArguments, shape: ModelShape): FaultFacts[] {
  if (shape.experts !== undefined) return [];
  const settings = new Settings(train);
  const norms = shape.headNorms ? ["q_norm", "k_norm"] : [];
  const adapter = (s: Settings): boolean => s.is("finetuning_type", "lora", "oft");
  const freeze = (s: Settings): boolean => s.is("finetuning_type", "freeze");
  const namings: readonly Naming[] = [
    { argument: "lora_target", names: [...projections, "embed_tokens", "lm_head"], when: adapter, all: true },
    { argument: "additional_target", names: [...outside, ...projections, ...parts, ...norms], when: adapter },
    { argument: "freeze_trainable_modules", names: parts, when: freeze, all: true },
    // Tied, the head is no parameter of its own.
    { argument: "freeze_extra_modules", names: shape.tied ? outside.slice(0, 2) : outside, when: freeze },
  ];
  return namings.filter(({ when }) => when(settings)).flatMap((naming) => faultsOf(naming, settings));
}

function faultsOf({ argument, names, all = false }: Naming, settings: Settings): FaultFacts[] {
  const given = settings.list(argument);
  if (all && given.length === 1 && given[0] === "all") return [];
  const alone = argument === "lora_target" ? [] : all ? ["all"] : [];
  // peft compares ends: layers.0.mlp.down_proj is one module.
  const unknown = given.filter((name) => ![...names, ...alone].includes(name.split(".").at(-1) ?? name));
  const [first] = unknown;
  if (first === undefined) return [];
  const close = nearest(first, names);
  const allowed = `${all ? "all, or some of " : "some of "}${names.join(", ")}`;
  const next =
    first === "all"
      ? "Write `all` alone, or name the modules."
      : close.length > 0
        ? `Did you mean ${close.join(" or ")}?`
        : `Write ${all ? "`all`" : "one of them"}, or remove it.`;
  const message = `names ${unknown.map((name) => JSON.stringify(name)).join(", ")}, and the model has no such module: it takes ${allowed}.`;
  return [{ code: "module-unknown", property: `train.${argument}`, message, next }];
}
