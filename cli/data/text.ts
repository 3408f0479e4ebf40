import { styleText } from "node:util";
import { count, percent } from "../../checks/datasets/findings.ts";
import type { TokenReport } from "../../checks/datasets/report.ts";
import { histogramOf } from "../../recipe/dataset-statistics.ts";
import type { Examined } from "./examine.ts";

const marks = { ok: styleText("green", "✓"), warning: styleText("yellow", "!"), error: styleText("red", "✗") };
const barWidth = 40;

/** The report for a terminal. */
export function asText({ name, report, findings, sample, sampleLack }: Examined): string {
  const lines = [styleText("bold", `Data of ${name}`), ""];
  for (const { name: dataset, source, here, rows } of report.datasets) {
    lines.push(`  ${dataset.padEnd(24)} ${here ? `${count(rows)} rows` : "not here yet"}  ${source}`);
  }
  lines.push("");
  for (const { level, message, next } of findings) {
    lines.push(`${marks[level]} ${message}`);
    if (next !== undefined && level !== "ok") lines.push(`  ${next}`);
  }
  if (report.tokens !== undefined) lines.push("", ...lengthsText(report.tokens));
  lines.push("", styleText("bold", "The first row as the model sees it"));
  if (sample === undefined) lines.push(`  Not rendered: ${sampleLack ?? ""}.`);
  else {
    const text = sample.segments.map((part) =>
      part.trained ? styleText("green", part.text) : styleText("dim", part.text),
    );
    lines.push(
      text.join("").trimEnd(),
      "",
      `${count(sample.tokens)} tokens; ${styleText("green", "green")} is learnt, ${styleText("dim", "dim")} is masked.`,
    );
  }
  return lines.join("\n");
}

function lengthsText(tokens: TokenReport): string[] {
  const bars = histogramOf(tokens.lengths, tokens.cutoff, 16);
  const most = Math.max(...bars.map(({ rows }) => rows));
  const width = String(bars.at(-1)?.to ?? 0).length;
  return [
    styleText("bold", `Tokens of a row in the template (cutoff_len ${count(tokens.cutoff)})`),
    ...bars.map(({ from, to, rows }) => {
      const bar = "█".repeat(Math.max(rows > 0 ? 1 : 0, Math.round((rows / most) * barWidth)));
      const range = `${String(from).padStart(width)}-${String(to).padEnd(width)}`;
      return `  ${range} ${from >= tokens.cutoff ? styleText("yellow", bar) : bar} ${count(rows)}`;
    }),
    `  packed: ${count(tokens.packing.sequences)} sequences, ${percent(tokens.packing.filled)} filled, ${count(tokens.packedSteps.total)} steps`,
  ];
}

/** The report for scripts. The sample is not in it: it is data. */
export function asJson({ name, report, findings, sampleLack }: Examined): object {
  const { tokens, datasets, rows, steps, schedule, tokensLack } = report;
  return {
    experiment: name,
    datasets,
    rows,
    steps,
    schedule,
    ...(tokensLack === undefined ? {} : { tokensLack }),
    tokens:
      tokens === undefined
        ? null
        : {
            rows: tokens.rows,
            cutoff: tokens.cutoff,
            truncated: tokens.truncated,
            perEpoch: tokens.perEpoch,
            median: tokens.lengths.quantile(0.5),
            p95: tokens.lengths.quantile(0.95),
            longest: tokens.lengths.longest,
            packing: { ...tokens.packing, steps: tokens.packedSteps.total },
            histogram: histogramOf(tokens.lengths, tokens.cutoff),
          },
    findings,
    ...(sampleLack === undefined ? {} : { sampleLack }),
  };
}
