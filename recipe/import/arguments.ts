import { ownedArguments, secretArguments } from "../arguments.ts";
import type { SourceFile } from "./source-file.ts";
import type { TrainEdits } from "./train-block.ts";
import type { ImportLog, ImportNoteCode, ImportWorld } from "./world.ts";

/** Arguments that import maps elsewhere and speaks of there. */
const spokenOf = [
  "model_name_or_path",
  "adapter_name_or_path",
  "model_revision",
  "dataset",
  "dataset_dir",
  "infer_backend",
];

/** Tokens of the hubs that models and data come from. */
const hubTokens = ["hf_hub_token", "ms_hub_token", "om_hub_token"];

/** Which arguments leave `train`, and which get another value; each is said. */
export function editsOf(
  file: SourceFile,
  dataDirectory: string | undefined,
  world: ImportWorld,
  log: ImportLog,
): TrainEdits {
  const { values } = file;
  const removed = new Set<string>();
  for (const [name, value] of Object.entries(values)) {
    const code = reasonToDrop(name);
    if (code === undefined) continue;
    removed.add(name);
    if (secretArguments.has(name)) log.warn(code, { name });
    else if (name === "eval_dataset") log.dropped(code, { value: JSON.stringify(value) });
    else if (!spokenOf.includes(name)) log.dropped(code, { name, reason: ownedArguments[name] ?? "" });
  }
  const replaced: Record<string, Record<string, unknown>> = {};
  const deepspeed = deepspeedOf(file, dataDirectory, world, log);
  if (deepspeed !== undefined) replaced["deepspeed"] = deepspeed;
  warnOfModel(values, log);
  return { removed, replaced };
}

/** Name of the sentence that says why an argument goes; undefined where it stays. */
function reasonToDrop(name: string): ImportNoteCode | undefined {
  if (secretArguments.has(name)) return hubTokens.includes(name) ? "secret-hub" : "secret";
  if (name.startsWith("ray_")) return name === "ray_num_workers" ? "ray-workers" : "ray";
  if (name === "eval_dataset") return "eval-dataset";
  return name === "model_revision" || Object.hasOwn(ownedArguments, name) ? "owned" : undefined;
}

/** A DeepSpeed file is taken over as its content: on the host there is no LLaMA-Factory checkout to find it in. */
function deepspeedOf(
  { path, values }: SourceFile,
  dataDirectory: string | undefined,
  world: ImportWorld,
  log: ImportLog,
): Record<string, unknown> | undefined {
  const { deepspeed: given } = values;
  if (typeof given !== "string") return undefined;
  const folder = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : ".";
  const inner = given.replace(/^examples\//, "");
  const places = [
    given,
    ...["", "/..", "/../.."].flatMap((up) => [`${folder}${up}/${given}`, `${folder}${up}/${inner}`]),
    ...(dataDirectory === undefined ? [] : [`${dataDirectory}/../${given}`]),
  ];
  for (const place of places) {
    const content = world.read(place);
    if (content === undefined) continue;
    try {
      const parsed = JSON.parse(content) as unknown;
      if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) continue;
      log.mapped("deepspeed-content", { file: given });
      return parsed as Record<string, unknown>;
    } catch {
      log.warn("deepspeed-not-json", { file: place });
    }
  }
  log.warn("deepspeed-absent", { file: given });
  return undefined;
}

const pictures = /(^|[-_/\d])(vl|vlm|omni|audio|vision|llava|video)([-_/\d]|$)|VL-|Omni|Audio/i;

function warnOfModel(values: Readonly<Record<string, unknown>>, log: ImportLog): void {
  const { model_name_or_path: model, template, trust_remote_code: trust } = values;
  if (typeof model !== "string") return;
  if (trust === true && /qwen/i.test(model)) {
    log.warn("trust-remote-code");
  }
  if (pictures.test(model) || (typeof template === "string" && /_vl|_omni|_audio/.test(template))) {
    log.warn("model-media", { model });
  }
}
