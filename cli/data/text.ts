import { styleText } from "node:util";
import { count, percent } from "../../checks/datasets/findings.ts";
import type { TokenReport } from "../../checks/datasets/report.ts";
import { histogramOf } from "../../recipe/dataset-statistics.ts";
import { findingTexts } from "../language/findings.ts";
import { languageOf } from "../language/locale.ts";
import { inChinese } from "../language/phrases.ts";
import { say } from "../language/say.ts";
import { padColumns } from "../language/width.ts";
import type { Examined } from "./examine.ts";

const marks = { ok: styleText("green", "✓"), warning: styleText("yellow", "!"), error: styleText("red", "✗") };
const barWidth = 40;

/** The report for a terminal, in the user's language. */
export function asText({ name, report, findings, sample, sampleLack }: Examined): string {
  const language = languageOf(process.env);
  const lines = [styleText("bold", say("data.title", { name })), ""];
  for (const { name: dataset, source, here, rows } of report.datasets) {
    const state = here ? say("data.rows", { rows: count(rows) }) : say("data.elsewhere");
    lines.push(`  ${padColumns(dataset, 24)} ${state}  ${source}`);
  }
  lines.push("");
  for (const finding of findings) {
    const { lines: told, next } = findingTexts(finding, language);
    const [first = "", ...more] = told;
    lines.push(`${marks[finding.level]} ${first}`);
    for (const line of more) lines.push(`  ${line}`);
    if (next !== undefined && finding.level !== "ok") lines.push(`  ${next}`);
  }
  if (report.tokens !== undefined) lines.push("", ...lengthsText(report.tokens));
  lines.push("", styleText("bold", say("data.sample")));
  if (sample === undefined) {
    const lack = sampleLack ?? "";
    lines.push(`  ${say("data.unrendered", { why: language === "zh" ? (inChinese(lack) ?? lack) : lack })}`);
  } else {
    const text = sample.segments.map((part) =>
      part.trained ? styleText("green", part.text) : styleText("dim", part.text),
    );
    lines.push(
      text.join("").trimEnd(),
      "",
      say("data.legend", {
        tokens: count(sample.tokens),
        green: styleText("green", say("data.green")),
        dim: styleText("dim", say("data.dim")),
      }),
    );
  }
  return lines.join("\n");
}

function lengthsText(tokens: TokenReport): string[] {
  const bars = histogramOf(tokens.lengths, tokens.cutoff, 16);
  const most = Math.max(...bars.map(({ rows }) => rows));
  const width = String(bars.at(-1)?.to ?? 0).length;
  return [
    styleText("bold", say("data.lengths", { cutoff: count(tokens.cutoff) })),
    ...bars.map(({ from, to, rows }) => {
      const bar = "█".repeat(Math.max(rows > 0 ? 1 : 0, Math.round((rows / most) * barWidth)));
      const range = `${String(from).padStart(width)}-${String(to).padEnd(width)}`;
      return `  ${range} ${from >= tokens.cutoff ? styleText("yellow", bar) : bar} ${count(rows)}`;
    }),
    `  ${say("data.packed", {
      sequences: count(tokens.packing.sequences),
      filled: percent(tokens.packing.filled),
      steps: count(tokens.packedSteps.total),
    })}`,
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
