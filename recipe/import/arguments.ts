import { ownedArguments } from "../arguments.ts";
import type { SourceFile } from "./source-file.ts";
import type { TrainEdits } from "./train-block.ts";
import type { ImportLog, ImportWorld } from "./world.ts";

/** Arguments that import maps elsewhere and speaks of there. */
const spokenOf = [
  "model_name_or_path",
  "adapter_name_or_path",
  "model_revision",
  "dataset",
  "dataset_dir",
  "infer_backend",
];

/** Tokens must not lie in a file that is committed. */
const tokens = ["hf_hub_token", "ms_hub_token", "om_hub_token"];

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
    const reason = reasonToDrop(name, value, values);
    if (reason === undefined) continue;
    removed.add(name);
    if (tokens.includes(name)) log.warn(`${name} ${reason}`);
    else if (!spokenOf.includes(name)) log.dropped(`${name}: ${reason}`);
  }
  const replaced: Record<string, Record<string, unknown>> = {};
  const deepspeed = deepspeedOf(file, dataDirectory, world, log);
  if (deepspeed !== undefined) replaced["deepspeed"] = deepspeed;
  warnOfModel(values, log);
  return { removed, replaced };
}

function reasonToDrop(name: string, value: unknown, values: Readonly<Record<string, unknown>>): string | undefined {
  if (tokens.includes(name)) {
    return "is a secret, and stack files are committed: it is left out. Say it by `pulumi config set --secret hubToken`.";
  }
  if (name.startsWith("ray_")) {
    return name === "ray_num_workers"
      ? "tuneup starts one trainer without Ray, on all GPUs of the host; tuneup:compute.gpus says how many are estimated for."
      : "tuneup does not use Ray.";
  }
  if (name === "model_revision") {
    return isPath(values["model_name_or_path"]) ? "a folder has no revision." : "it is tuneup:model.revision.";
  }
  if (name === "eval_dataset") {
    return `${JSON.stringify(value)} is left out: tuneup evaluates on rows held back by train.val_size.`;
  }
  return ownedArguments[name];
}

function isPath(model: unknown): boolean {
  return typeof model === "string" && /^[./~]/.test(model);
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
      log.mapped(`deepspeed: the content of ${given} stands in its place, so that the host needs no such file.`);
      return parsed as Record<string, unknown>;
    } catch {
      log.warn(`deepspeed: ${place} is not JSON.`);
    }
  }
  log.warn(
    `deepspeed: there is no ${given} here; put its content in its place, or the file's absolute path on the host.`,
  );
  return undefined;
}

const pictures = /(^|[-_/\d])(vl|vlm|omni|audio|vision|llava|video)([-_/\d]|$)|VL-|Omni|Audio/i;

function warnOfModel(values: Readonly<Record<string, unknown>>, log: ImportLog): void {
  const { model_name_or_path: model, template, trust_remote_code: trust } = values;
  if (typeof model !== "string") return;
  if (trust === true && /qwen/i.test(model)) {
    log.warn(
      "trust_remote_code: true stays, but Qwen does not need it: it lets a model's repository run its own code here.",
    );
  }
  if (pictures.test(model) || (typeof template === "string" && /_vl|_omni|_audio/.test(template))) {
    log.warn(`${model} sees or hears, and tuneup trains text models: \`tuneup check\` refuses it.`);
  }
}
