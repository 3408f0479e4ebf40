import { readFile } from "node:fs/promises";
import type { CheckFinding } from "../recipe/check-report.ts";
import { moduleFaults } from "../recipe/compatibility/modules.ts";
import { bundledConfig } from "../recipe/estimates/bundled.ts";
import { type ModelShape, readModelConfig } from "../recipe/estimates/model-config.ts";
import type { Experiment } from "../recipe/experiment.ts";
import { modelFolder } from "./datasets/model-folder.ts";
import { hubConfig, type HubConfigQuestion } from "./hub-config.ts";

/** The model's shape, or what to say where there is none. */
export interface FoundShape {
  readonly shape?: ModelShape;
  readonly findings: readonly CheckFinding[];
  /** Where its weights lie on this machine; undefined where they are not here. */
  readonly folder?: string | undefined;
}

/** Shape by config.json: the folder's, else that of what was fetched before, else the bundled one, else the hub's where it may be asked. */
export async function modelShapeOf(experiment: Experiment, home: string, hub?: HubConfigQuestion): Promise<FoundShape> {
  const { model } = experiment;
  const folder = await modelFolder(model, home).catch(() => undefined);
  const here = (folder === undefined ? undefined : await configIn(folder)) ?? bundledConfig(model.id);
  const config = here ?? (hub === undefined ? undefined : await hubConfig(model, hub));
  if (config === undefined) {
    const message = `no config.json of ${model.id} is here or bundled: memory, disk and time are not estimated.`;
    const next = `They are once its weights are here; \`npx tuneup check --model ${model.id}\` asks its hub.`;
    return {
      findings: [{ area: "memory", level: "warning", code: "model-unknown", property: "model.id", message, next }],
    };
  }
  const { shape, fault } = readModelConfig(config);
  if (shape === undefined) return { findings: [{ area: "memory", level: "error", ...fault }] };
  const modules = model.adapter === undefined ? moduleFaults(experiment.train, shape) : [];
  const unknown = modules.map((one): CheckFinding => ({ area: "compatibility", level: "error", ...one }));
  return { shape, folder, findings: [...positionFindings(experiment, shape), ...unknown] };
}

async function configIn(folder: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(`${folder}/config.json`, "utf8")) as unknown;
  } catch {
    // What is wrong with the folder is told by the check of weights.
    return undefined;
  }
}

/** Rows longer than the model has positions for train on what it never saw. */
function positionFindings({ train, model }: Experiment, { positions }: ModelShape): CheckFinding[] {
  const cutoff = train["cutoff_len"];
  const stretched = train["rope_scaling"] !== undefined && train["rope_scaling"] !== null;
  if (typeof cutoff !== "number" || positions === undefined || cutoff <= positions || stretched) return [];
  return [
    {
      area: "compatibility",
      level: "error",
      code: "cutoff-positions",
      property: "train.cutoff_len",
      message: `is ${cutoff}, and ${model.id} has ${positions} positions (max_position_embeddings).`,
      figure: cutoff,
      limit: positions,
      unit: "tokens",
      basis: "config.json",
      next: `Set it to ${positions} or less, or set \`train.rope_scaling\` (yarn).`,
    },
  ];
}
