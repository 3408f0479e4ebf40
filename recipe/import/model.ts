import { Fault } from "../fault.ts";
import type { ImportAnswers, ImportLog, ImportWorld } from "./world.ts";

/** Folders that people keep local models in: `models/Qwen2.5-7B` is no id of a hub. */
const localFolders = ["models", "model", "saves", "output", "outputs", "checkpoints", "weights", "data", "pretrained"];

/** `tuneup:model` from model_name_or_path and adapter_name_or_path. Throws Fault where there is none or it is a Windows path. */
export function mapModel(
  values: Readonly<Record<string, unknown>>,
  answers: ImportAnswers,
  world: ImportWorld,
  log: ImportLog,
): Record<string, unknown> {
  const { model_name_or_path: given, adapter_name_or_path: adapter, model_revision: revision } = values;
  if (typeof given !== "string" || given.trim() === "") {
    throw new Fault({
      code: "import-model",
      property: "model_name_or_path",
      message: `must be a hub id or a folder, got ${JSON.stringify(given ?? null)}.`,
      next: "Say which model is trained, such as Qwen/Qwen2.5-7B-Instruct.",
    });
  }
  const model = sourceOf(given.trim(), answers, world, log);
  return {
    ...model,
    ...(typeof revision === "string" && revision !== "main" && model["source"] !== "path" ? { revision } : {}),
    ...adapterOf(adapter, world, log),
  };
}

function sourceOf(
  given: string,
  { hub = "hub" }: ImportAnswers,
  world: ImportWorld,
  log: ImportLog,
): Record<string, unknown> {
  refuseWindows("model_name_or_path", given);
  const local = isLocal(given, world);
  if (local) {
    log.mapped("model-folder", { model: given });
    if (!world.exists(given)) log.warn("model-folder-absent", { folder: given });
    return { source: "path", id: world.place(given) };
  }
  if (hub === "hub") log.mapped("model-hub", { model: given });
  else log.mapped("model-from", { model: given, hub: hub === "modelscope" ? "ModelScope" : "Hugging Face" });
  return { source: hub, id: given };
}

function adapterOf(adapter: unknown, world: ImportWorld, log: ImportLog): Record<string, unknown> {
  const folders = (Array.isArray(adapter) ? adapter : typeof adapter === "string" ? adapter.split(",") : [])
    .map((folder) => String(folder).trim())
    .filter((folder) => folder !== "");
  if (folders.length === 0) return {};
  for (const folder of folders) refuseWindows("adapter_name_or_path", folder);
  log.mapped("adapter");
  const placed = folders.map((folder) => (folder.includes("/") || world.exists(folder) ? world.place(folder) : folder));
  return { adapter: placed.join(",") };
}

/** A path of this machine rather than an id of a hub, as LLaMA-Factory tells them: what exists here is a path. */
function isLocal(given: string, world: ImportWorld): boolean {
  if (/^[./~]/.test(given) || world.exists(given)) return true;
  const parts = given.split("/");
  return parts.length !== 2 || localFolders.includes(parts[0]?.toLowerCase() ?? "");
}

/** Windows paths mean nothing to the Linux host. */
export function refuseWindows(property: string, given: string): void {
  if (!/^[A-Za-z]:[\\/]|\\/.test(given)) return;
  throw new Fault({
    code: "import-windows",
    property,
    message: `is the Windows path ${given}, and training runs on Linux.`,
    next: "Give the hub id, or the folder as this machine names it (/mnt/c/... in WSL).",
  });
}
