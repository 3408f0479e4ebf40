import type { TrainArguments } from "../recipe/arguments.ts";
import type { CheckFinding } from "../recipe/check-report.ts";
import { engineOf } from "../recipe/engines.ts";
import { type Disk, diskOf } from "../recipe/estimates/disk.ts";
import { diskProposals } from "../recipe/estimates/disk-proposals.ts";
import type { ModelShape } from "../recipe/estimates/model-config.ts";
import type { Training } from "../recipe/estimates/training.ts";
import type { Experiment } from "../recipe/experiment.ts";
import { variantsFor } from "../recipe/variants.ts";
import { gigabytes } from "./figures.ts";
import type { HostFacts } from "./hardware.ts";

const basis = "parameters by config.json, measured sizes of the environment (docs/estimates.md)";

/** What decides how much disk there is and how much is needed. */
export interface DiskQuestions {
  readonly shape: ModelShape;
  readonly training: Training;
  readonly steps: number | undefined;
  readonly tokens: number;
  readonly host: HostFacts | undefined;
  /** Are the weights on the machine already? Undefined where that can't be seen from here. */
  readonly weightsThere: boolean | undefined;
}

/** Does all that the experiment puts into the data directory fit into the budget and on the disk? */
export function diskFindings(experiment: Experiment, question: DiskQuestions): CheckFinding[] {
  const { shape, training, steps, tokens } = question;
  const train: TrainArguments = experiment.train;
  const disk = diskOf(shape, training, {
    train,
    variants: variantsFor(train),
    engine: engineOf(experiment),
    steps,
    tokens,
  });
  const budget = experiment.budget.diskGB * 1e9;
  const room = roomOf(disk, question);
  const limit = Math.min(budget, room?.least ?? Infinity);
  const needs = `the data directory grows to ${gigabytes(disk.total)} (${partsOf(disk)})`;
  const base = {
    area: "disk",
    figure: Math.round(disk.total),
    limit: Math.round(limit),
    unit: "bytes",
    basis,
  } as const;
  if (disk.total <= limit) {
    const merged = disk.merged > 0 ? ` An export with the adapter merged would add ${gigabytes(disk.merged)}.` : "";
    return [
      {
        ...base,
        level: "ok",
        code: "disk-fits",
        message: `${needs}; the budget is ${experiment.budget.diskGB} GB.${merged}`,
      },
    ];
  }
  const advice = adviceFor(experiment, question, { budget, room: room?.least ?? Infinity, total: disk.total });
  const findings: CheckFinding[] = [];
  if (disk.total > budget) {
    const message = `is ${experiment.budget.diskGB} GB, and ${needs}.`;
    const raise = room === undefined || disk.total <= room.least ? " Or raise the budget to what the disk has." : "";
    const next = `${advice}${raise}`;
    findings.push({ ...base, level: "error", code: "disk-budget", property: "budget.diskGB", message, next });
  }
  if (room !== undefined && disk.total > room.least) {
    const unseen = disk.total > room.most ? "" : " The weights may lie there already, which can't be seen from here.";
    const message = `${needs}, and ${room.words}.${unseen}`;
    const next = `Free some space, or set \`tuneup:storage.dataDirectory\` to a larger disk. ${advice}`;
    const level = unseen === "" ? "error" : "warning";
    findings.push({ ...base, level, code: "disk-free", property: "storage.dataDirectory", message, next });
  }
  return findings;
}

function partsOf({ weights, environment, engine, checkpoints, artifact }: Disk): string {
  const parts = { weights, environment, ...(engine > 0 ? { engine } : {}), checkpoints, result: artifact };
  return Object.entries(parts)
    .map(([name, bytes]) => `${name} ${gigabytes(bytes)}`)
    .join(", ");
}

/** How large the data directory can become: what is free and what of the experiment lies there; undefined where no host told. */
interface Room {
  readonly least: number;
  /** The same if what can't be seen is there as well. */
  readonly most: number;
  readonly words: string;
}

function roomOf(disk: Disk, { host, weightsThere }: DiskQuestions): Room | undefined {
  // A folder that can't be written is an error of its own.
  if (host === undefined || host.unwritable !== undefined) return undefined;
  const there =
    (host.environment === null ? 0 : disk.environment) +
    ((host.engineEnvironment ?? null) === null ? 0 : disk.engine) +
    (weightsThere === true ? disk.weights : 0);
  const least = host.diskFreeBytes + there;
  const words = `${gigabytes(host.diskFreeBytes)} are free there${there === 0 ? "" : `, beside ${gigabytes(there)} of it that are there already`}`;
  return { least, most: weightsThere === undefined ? least + disk.weights : least, words };
}

/** What would fit, with its figures; nothing where the budget alone is short and can be raised instead. */
function adviceFor(
  { train, model, serve, teardown }: Experiment,
  { shape, training, steps, tokens }: DiskQuestions,
  { budget, room, total }: { readonly budget: number; readonly room: number; readonly total: number },
): string {
  const engine = engineOf({ serve, teardown });
  const question = { modelId: model.id, shape, train, engine, gpus: training.gpus, steps, tokens };
  const found = diskProposals(question, Math.min(budget, room));
  if (found.length > 0) {
    const texts = found.map(({ changes, bytes }) => `\`${changes.join("`, `")}\` (${gigabytes(bytes)})`);
    return `What fits, cheapest first: ${texts.join("; or ")}.`;
  }
  return `No setting makes it fit: it takes ${gigabytes(total)}.`;
}
