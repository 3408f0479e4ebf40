import type { CheckFinding } from "../../recipe/check-report.ts";
import type { Experiment } from "../../recipe/experiment.ts";
import type { DataReport, DatasetReport, TokenReport } from "./report.ts";

/** A share of rows cut at cutoff_len above which a warning is due. */
const muchTruncated = 0.2;

/** What `tuneup check` and `preview` say of an experiment's data. */
export function dataFindings(report: DataReport, experiment: Experiment): CheckFinding[] {
  const findings = report.datasets.flatMap((dataset) => findingsOf(dataset));
  const { steps, rows, tokens } = report;
  if (steps !== undefined && rows !== undefined && rows > 0) {
    const { trainRows, evalRows, perEpoch, total } = steps;
    const evaluated = evalRows === 0 ? "" : `, ${count(evalRows)} more evaluate`;
    findings.push({
      area: "data",
      level: "ok",
      code: "dataset-steps",
      message: `${count(trainRows)} rows train${evaluated}: ${count(perEpoch)} steps an epoch, ${count(total)} in all.`,
      values: { rows: count(trainRows), held: count(evalRows), perEpoch: count(perEpoch), total: count(total) },
      figure: total,
      unit: "steps",
      basis: "counted here; steps as transformers' Trainer counts them",
    });
    findings.push(...intervalFindings(total, experiment));
  }
  if (tokens === undefined) {
    const why = report.tokensLack ?? "";
    findings.push({
      area: "data",
      level: "ok",
      code: "tokens-uncounted",
      message: `Tokens are not counted: ${why}.${why.endsWith("yet") ? " `up` brings it." : ""}`,
    });
  } else findings.push(...tokenFindings(tokens));
  return findings;
}

/** Does `val_size` leave rows to train on? datasets' train_test_split refuses it where it does not. */
export function splitFindings({ rows, steps, schedule }: DataReport): CheckFinding[] {
  if (rows === undefined || rows === 0 || steps === undefined || steps.trainRows > 0) return [];
  const { valSize } = schedule;
  return [
    {
      area: "data",
      level: "error",
      code: "validation-rows",
      property: "train.val_size",
      message: `is ${valSize}, and all ${count(rows)} rows of the data would evaluate: none is left to train on.`,
      figure: steps.evalRows,
      limit: rows - 1,
      unit: "rows",
      basis: "counted here",
      next: "Write a share such as 0.1, or fewer rows.",
    },
  ];
}

function findingsOf(dataset: DatasetReport): CheckFinding[] {
  const { name, property, source, here, rows, duplicates, duplicatesAt, problems } = dataset;
  const findings = problems.map(({ code, message, next }): CheckFinding => {
    return { area: "data", level: "error", code, property, message, ...(next === undefined ? {} : { next }) };
  });
  if (!here) {
    const message = `${name}: ${source} is not on this machine yet; its rows are checked at \`up\`, before anything trains.`;
    const next = "`npx tuneup data` with this experiment's name fetches and checks it now.";
    return [...findings, { area: "data", level: "warning", code: "dataset-elsewhere", property, message, next }];
  }
  if (problems.length === 0) {
    const basis = "every row read here";
    findings.push({
      area: "data",
      level: "ok",
      property,
      code: "dataset-whole",
      message: `${name}: ${count(rows)} rows, all well formed.`,
      values: { name, rows: count(rows) },
      figure: rows,
      unit: "rows",
      basis,
    });
  }
  if (duplicates > 0) {
    findings.push({
      area: "data",
      level: "warning",
      code: "dataset-duplicates",
      property,
      message: `${name}: ${count(duplicates)} of ${count(rows)} rows are there twice (the first: ${duplicatesAt.join(", ")}).`,
      figure: duplicates,
      unit: "rows",
      basis: `64 bits of a hash of each row's texts${dataset.duplicatesComplete ? "" : "; only the first 6.2 million rows are compared"}`,
      next: "Take them out, unless they are to weigh more.",
    });
  }
  return findings;
}

function tokenFindings({ lengths, cutoff, truncated, perEpoch, packing, rows, by }: TokenReport): CheckFinding[] {
  const basis = `the model's own tokenizer on ${count(rows)} rows (${by})`;
  const share = truncated / lengths.rows;
  const median = `half of the rows have at most ${count(lengths.quantile(0.5))} tokens, the longest ${count(lengths.longest)}`;
  const findings: CheckFinding[] = [
    {
      area: "data",
      level: "ok",
      code: "tokens-counted",
      message: `${count(perEpoch)} tokens an epoch; ${median}. Packed, ${packing.rowsEach.toFixed(1)} rows would share a sequence of ${count(cutoff)}.`,
      figure: perEpoch,
      unit: "tokens",
      basis,
    },
  ];
  if (truncated === 0) return findings;
  const warns = share > muchTruncated;
  findings.push({
    area: "data",
    level: warns ? "warning" : "ok",
    ...(warns ? { code: "dataset-truncated" } : {}),
    property: "train.cutoff_len",
    message: `${percent(share)} of the rows are longer than cutoff_len ${count(cutoff)} and are cut there.`,
    figure: truncated,
    unit: "rows",
    basis,
    ...(warns ? { next: `train.cutoff_len: ${lengths.quantile(0.95)} would cut one row in twenty.` } : {}),
  });
  return findings;
}

/** Intervals that never come: nothing would be saved or evaluated before the end. */
function intervalFindings(total: number, { train }: Experiment): CheckFinding[] {
  const said = train as Readonly<Record<string, unknown>>;
  const interval = (key: "save" | "eval"): CheckFinding[] => {
    const steps = said[`${key}_steps`];
    if (typeof steps !== "number" || steps <= total || steps < 1) return [];
    if (key === "eval" && (said["eval_strategy"] ?? "no") !== "steps") return [];
    if (key === "save" && (said["save_strategy"] ?? "steps") !== "steps") return [];
    const what = key === "save" ? "no checkpoint is saved before the end" : "nothing is evaluated during the run";
    return [
      {
        area: "data",
        level: "warning",
        code: `interval-${key}`,
        property: `train.${key}_steps`,
        message: `${key}_steps is ${count(steps)} and the run has ${count(total)} steps: ${what}.`,
        figure: steps,
        limit: total,
        unit: "steps",
        next: `Set it to ${Math.max(1, Math.floor(total / 5))} or so.`,
      },
    ];
  };
  return [...interval("save"), ...interval("eval")];
}

/** `12,345`. */
export function count(number: number): string {
  return number.toLocaleString("en-US");
}

/** `12 %`, `0.4 %`. */
export function percent(share: number): string {
  const value = share * 100;
  return `${value >= 10 || value === 0 ? value.toFixed(0) : value.toFixed(1)} %`;
}
