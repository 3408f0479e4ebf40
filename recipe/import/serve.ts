import type { SourceFile } from "./source-file.ts";
import type { ImportLog } from "./world.ts";

const engines = ["huggingface", "vllm", "sglang"];

/** `tuneup:serve` from infer_backend of either file and from what else an inference file says. */
export function mapServing(
  training: SourceFile,
  inference: SourceFile | undefined,
  log: ImportLog,
): Record<string, unknown> {
  const backend = inference?.values["infer_backend"] ?? training.values["infer_backend"];
  const tokens = inference?.values["max_new_tokens"];
  if (inference !== undefined) compare(training, inference, log);
  return {
    ...engineOf(backend, log),
    ...(typeof tokens === "number" && tokens > 0 ? { maxTokens: tokens } : {}),
  };
}

function engineOf(backend: unknown, log: ImportLog): Record<string, unknown> {
  if (backend === undefined || backend === null) return {};
  if (typeof backend === "string" && engines.includes(backend)) {
    log.mapped("engine", { engine: backend });
    return { engine: backend };
  }
  log.warn("engine-unknown", { engine: JSON.stringify(backend), engines: engines.join(", ") });
  return {};
}

/** What serving takes from training: said where the inference file differs. */
const shared = ["model_name_or_path", "template", "finetuning_type", "trust_remote_code"];
const mapped = ["infer_backend", "max_new_tokens", ...shared];

function compare(training: SourceFile, inference: SourceFile, log: ImportLog): void {
  const { values } = inference;
  for (const name of shared) {
    if (values[name] === undefined || values[name] === training.values[name]) continue;
    const other = JSON.stringify(training.values[name] ?? null);
    log.warn("inference-differs", { file: inference.path, name, value: JSON.stringify(values[name]), other });
  }
  const { adapter_name_or_path: adapter, ...others } = values;
  if (adapter !== undefined) {
    if (adapter === training.values["output_dir"]) log.dropped("inference-adapter-own", { file: inference.path });
    else log.dropped("inference-adapter-other", { file: inference.path, adapter: JSON.stringify(adapter) });
  }
  for (const name of Object.keys(others).filter((key) => !mapped.includes(key))) {
    log.dropped("inference-request", { name, file: inference.path });
  }
}
