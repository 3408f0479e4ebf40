import type { CheckFinding } from "../recipe/check-report.ts";
import { scheduleOf, stepsOf } from "../recipe/dataset-statistics.ts";
import type { ModelShape } from "../recipe/estimates/model-config.ts";
import { paceOf } from "../recipe/estimates/pace.ts";
import type { Training } from "../recipe/estimates/training.ts";
import type { Experiment } from "../recipe/experiment.ts";
import type { DataReport } from "./datasets/report.ts";
import { hours } from "./figures.ts";
import type { Hardware } from "./hardware.ts";

/** Steps of the run, and whether they are only an upper bound (a dataset is not here, and max_samples bounds it). */
export interface KnownSteps {
  readonly steps: number;
  readonly atMost: boolean;
}

/** How many optimizer steps there will be, as far as anything tells. */
export function stepsOfRun(
  { train }: Experiment,
  report: DataReport | undefined,
  gpus: number,
): KnownSteps | undefined {
  if (report?.steps !== undefined) return { steps: report.steps.total, atMost: false };
  const schedule = scheduleOf(train, gpus);
  if (schedule.maxSteps > 0) return { steps: schedule.maxSteps, atMost: false };
  const { maxSamples } = schedule;
  if (report === undefined || maxSamples === undefined) return undefined;
  const rows = report.datasets.reduce(
    (sum, { here, rows: own }) => sum + (here ? Math.min(own, maxSamples) : maxSamples),
    0,
  );
  return { steps: stepsOf(rows, schedule).total, atMost: true };
}

const basis = "speeds measured on an H100 and an H200; other cards by their datasheet's rate (docs/estimates.md)";

/** How long it takes and what that costs, against the budget. */
export function timeFindings(
  experiment: Experiment,
  question: {
    readonly shape: ModelShape;
    readonly training: Training;
    readonly hardware: Hardware;
    readonly known: KnownSteps | undefined;
    readonly report: DataReport | undefined;
    /** What an hour of the machine costs. Default: `compute.pricePerHour`. */
    readonly price?: HourlyPrice | undefined;
  },
): CheckFinding[] {
  const { shape, training, hardware, known, report } = question;
  const { budget, compute, train } = experiment;
  const stated = compute.pricePerHour;
  const own = stated === undefined ? undefined : { usd: stated, basis: "compute.pricePerHour" };
  if (known === undefined) {
    const message = "how long it takes is not known before the data is here.";
    return [{ area: "time", level: "ok", message, next: "`npx tuneup data` with this experiment's name fetches it." }];
  }
  const accumulation = scheduleOf(train).accumulation;
  const tokens = report?.tokens;
  const mean =
    tokens === undefined ? training.cutoff : tokens.perEpoch / Math.max(1, report?.steps?.trainRows ?? tokens.rows);
  const longest = Math.min(training.cutoff, tokens?.lengths.longest ?? training.cutoff);
  const packed = train["packing"] === true || train["neat_packing"] === true;
  const run = { card: hardware.card, rows: { mean, longest }, microSteps: known.steps * accumulation, packed };
  const { seconds, tokensPerSecond, factor } = paceOf(shape, training, run);
  const bound = known.atMost || tokens === undefined;
  const figure = `${bound ? "at most " : ""}${known.steps} steps take ${bound ? "at most " : "about "}${hours(seconds)} on ${hardware.name}`;
  const detail = `${Math.round(tokensPerSecond)} tokens/s, within a factor of ${factor}${tokens === undefined ? ", every row taken as long as cutoff_len" : ""}`;
  const base = { area: "time", figure: Math.round(seconds), unit: "seconds", basis } as const;
  const limit = budget.hours === undefined ? undefined : budget.hours * 3600;
  const next =
    "Train fewer epochs or rows (`train.num_train_epochs`, `train.max_samples`), take a faster card, or raise the budget.";
  const over = limit !== undefined && seconds > limit;
  // A budget is kept even if every row is as long as it may be; how many rows there are has to be known for that.
  const { atMost } = known;
  const findings: CheckFinding[] = [
    over
      ? {
          ...{ ...base, limit, next, code: "time-budget", property: "budget.hours" },
          level: atMost ? "warning" : "error",
          message: `is ${String(budget.hours)} h, and ${figure} (${detail}).`,
        }
      : {
          ...base,
          ...(limit === undefined ? {} : { limit }),
          level: "ok",
          code: "time-estimated",
          message: `${figure} (${detail}).`,
        },
  ];
  return [...findings, ...priceFindings(experiment, { seconds, bound, atMost, price: question.price ?? own })];
}

/** US dollars an hour, and where that is from. */
export interface HourlyPrice {
  readonly usd: number;
  readonly basis: string;
}

function priceFindings(
  { budget }: Experiment,
  {
    seconds,
    bound,
    atMost,
    price,
  }: {
    readonly seconds: number;
    readonly bound: boolean;
    readonly atMost: boolean;
    readonly price: HourlyPrice | undefined;
  },
): CheckFinding[] {
  if (price === undefined) {
    if (budget.usd === undefined) return [];
    const message = `is ${budget.usd} USD, and what an hour costs is not said.`;
    const next = "Set `tuneup:compute.pricePerHour`.";
    return [{ area: "price", level: "error", code: "price-unknown", property: "budget.usd", message, next }];
  }
  const cost = (seconds / 3600) * price.usd;
  const text = `training costs ${bound ? "at most " : "about "}${cost.toFixed(2)} USD (${hours(seconds)} at ${price.usd} USD an hour)`;
  const figures = {
    area: "price",
    figure: Math.round(cost * 100) / 100,
    unit: "USD",
    basis: price.basis,
  } as const;
  if (budget.usd === undefined || cost <= budget.usd) {
    return [
      {
        ...figures,
        ...(budget.usd === undefined ? {} : { limit: budget.usd }),
        level: "ok",
        code: "price-estimated",
        message: `${text}.`,
      },
    ];
  }
  return [
    {
      ...{ ...figures, limit: budget.usd, code: "price-budget", property: "budget.usd" },
      level: atMost ? "warning" : "error",
      message: `is ${budget.usd} USD, and ${text}.`,
      next: "Train fewer epochs or rows, or take a cheaper machine.",
    },
  ];
}
