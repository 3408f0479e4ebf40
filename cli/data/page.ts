import { count, percent } from "../../checks/datasets/findings.ts";
import type { TokenReport } from "../../checks/datasets/report.ts";
import { type Bar, histogramOf } from "../../recipe/dataset-statistics.ts";
import { findingTexts } from "../language/findings.ts";
import { languageOf } from "../language/locale.ts";
import { inChinese } from "../language/phrases.ts";
import { say } from "../language/say.ts";
import type { Examined } from "./examine.ts";

/** The report as one HTML file that loads nothing, in the user's language. At most one row of the data is in it. */
export function dataPage(examined: Examined): string {
  const { name, report } = examined;
  const title = escape(say("data.title", { name }));
  return `<!doctype html>
<html lang="${languageOf(process.env) === "zh" ? "zh-CN" : "en"}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${title}</title>
<style>${style}</style>
<main>
<header><h1>${title}</h1><p>${say("page.read")}</p></header>
${figures(examined)}
${report.tokens === undefined ? "" : chart(report.tokens)}
${findings(examined)}
${table(examined)}
${sampleOf(examined)}
</main>
</html>
`;
}

function figures({ report }: Examined): string {
  const { steps, tokens } = report;
  const cards: [string, string, string][] = [];
  if (steps !== undefined) {
    const held = steps.evalRows > 0 ? say("page.evaluate", { rows: count(steps.evalRows) }) : say("page.evaluate.none");
    cards.push([say("page.train"), count(steps.trainRows), held]);
    cards.push([say("page.steps"), count(steps.total), say("page.steps.epoch", { steps: count(steps.perEpoch) })]);
  }
  if (tokens !== undefined) {
    const { lengths, truncated, cutoff, packing, packedSteps } = tokens;
    cards.push([
      say("page.tokens"),
      short(tokens.perEpoch),
      say("page.tokens.half", { tokens: count(lengths.quantile(0.5)) }),
    ]);
    cards.push([say("page.cut"), percent(truncated / lengths.rows), say("page.cut.at", { cutoff: count(cutoff) })]);
    cards.push([
      say("page.packed"),
      say("page.packed.steps", { steps: count(packedSteps.total) }),
      say("page.packed.rows", { rows: packing.rowsEach.toFixed(1) }),
    ]);
  }
  const items = cards.map(([what, figure, more]) => `<div><dt>${what}</dt><dd>${figure}</dd><p>${more}</p></div>`);
  return `<dl class="figures">${items.join("")}</dl>`;
}

const [width, height, left, bottom, top] = [960, 260, 56, 34, 18];

function chart({ lengths, cutoff, rows }: TokenReport): string {
  const bars = histogramOf(lengths, cutoff);
  const most = niceAbove(Math.max(...bars.map((bar) => bar.rows)));
  const step = (width - left) / bars.length;
  const y = (value: number): number => top + (height - top - bottom) * (1 - value / most);
  const size = (bars[0]?.to ?? 0) - (bars[0]?.from ?? 0) + 1;
  const drawn = bars.map((bar, index) => drawBar(bar, { x: left + index * step, step, y, cutoff }));
  const grid = [0, 0.5, 1].map((part) => {
    const at = y(most * part);
    return `<line class="grid" x1="${left}" x2="${width}" y1="${at}" y2="${at}"/><text class="axis" x="${left - 8}" y="${at + 4}" text-anchor="end">${short(most * part)}</text>`;
  });
  const every = Math.ceil(bars.length / 10);
  const labels = bars.flatMap((bar, index) =>
    index % every === 0
      ? [`<text class="axis" x="${left + index * step}" y="${height - 12}">${count(bar.from)}</text>`]
      : [],
  );
  const at = left + (cutoff / size) * step;
  const near = at > width - 150;
  const line =
    at > width
      ? ""
      : `<line class="cutoff" x1="${at}" x2="${at}" y1="4" y2="${height - bottom}"/><text class="cutoff" x="${near ? at - 6 : at + 6}" y="14" text-anchor="${near ? "end" : "start"}">cutoff_len ${count(cutoff)}</text>`;
  return `<section><h2>${say("page.lengths")}</h2>
<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${say("page.histogram", { rows: count(rows) })}">${grid.join("")}${drawn.join("")}${labels.join("")}${line}</svg>
<p class="note">${say("page.lengths.note", { rows: count(rows), size: count(size), longest: count(lengths.longest) })}</p></section>`;
}

function drawBar(
  { from, to, rows }: Bar,
  { x, step, y, cutoff }: { x: number; step: number; y: (value: number) => number; cutoff: number },
): string {
  const at = rows === 0 ? y(0) : Math.min(y(rows), y(0) - 1.5);
  const tall = y(0) - at;
  const over = from >= cutoff ? " over" : "";
  return `<rect class="bar${over}" x="${(x + 1).toFixed(1)}" y="${at.toFixed(1)}" width="${Math.max(step - 2, 1).toFixed(1)}" height="${tall.toFixed(1)}" rx="2"><title>${say("page.bar", { from: count(from), to: count(to), rows: count(rows) })}</title></rect>`;
}

function findings({ findings: found }: Examined): string {
  const mark = { ok: "✓", warning: "!", error: "✗" } as const;
  const language = languageOf(process.env);
  const items = found.map((finding) => {
    const { lines, next } = findingTexts(finding, language);
    const told = lines.map(escape).join("<br>");
    const advice = next === undefined || finding.level === "ok" ? "" : `<em>${escape(next)}</em>`;
    return `<li class="${finding.level}"><b>${mark[finding.level]}</b><span>${told}${advice}</span></li>`;
  });
  return `<section><h2>${say("page.found")}</h2><ul class="findings">${items.join("")}</ul></section>`;
}

function table({ report }: Examined): string {
  const rows = report.datasets.map(
    ({ name, source, here, rows: number, duplicates }) =>
      `<tr><td>${escape(name)}</td><td>${escape(source)}</td><td>${here ? count(number) : say("data.elsewhere")}</td><td>${count(duplicates)}</td></tr>`,
  );
  const names = [
    say("page.datasets.name"),
    say("page.datasets.source"),
    say("page.datasets.rows"),
    say("page.datasets.twice"),
  ];
  const heads = names.map((head) => `<th>${head}</th>`);
  return `<section><h2>${say("page.datasets")}</h2><table><thead><tr>${heads.join("")}</tr></thead><tbody>${rows.join("")}</tbody></table></section>`;
}

function sampleOf({ sample, sampleLack }: Examined): string {
  const head = `<h2>${say("data.sample")}</h2>`;
  if (sample === undefined) {
    const lack = sampleLack ?? "";
    const why = languageOf(process.env) === "zh" ? (inChinese(lack) ?? lack) : lack;
    return `<section>${head}<p class="note">${escape(say("data.unrendered", { why }))}</p></section>`;
  }
  const parts = sample.segments.map(
    ({ text, trained }) => `<span class="${trained ? "learnt" : "masked"}">${escape(text)}</span>`,
  );
  return `<section>${head}<pre>${parts.join("")}</pre>
<p class="note">${say("page.sample", { tokens: count(sample.tokens), marked: `<span class="learnt">${say("page.sample.marked")}</span>` })}</p></section>`;
}

function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return ([1, 2, 4, 5, 10].find((step) => step * power >= value) ?? 10) * power;
}

/** `1.2 M`, `34 k`, `120`. */
function short(value: number): string {
  if (value >= 1e9) return `${(value / 1e9).toPrecision(3)} G`;
  if (value >= 1e6) return `${(value / 1e6).toPrecision(3)} M`;
  return value >= 1e4 ? `${Math.round(value / 1e3)} k` : count(Math.round(value * 10) / 10);
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

const style = `
:root { color-scheme: light dark; --ink: light-dark(#1c2330, #e6e9ef); --soft: light-dark(#667085, #98a2b3); --line: light-dark(#e4e7ec, #2c3442);
  --card: light-dark(#fff, #171c26); --page: light-dark(#f6f7f9, #0f131a); --main: light-dark(#3b6fd4, #6d9bf1); --over: light-dark(#d9822b, #f0a95c); --good: light-dark(#1a7f4b, #58c28b); --bad: light-dark(#c0342b, #f2817a); --mark: light-dark(#d7f0e0, #1d4a33); }
* { box-sizing: border-box; } body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, "Noto Sans", "Noto Sans CJK SC", sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 32px 24px 64px; } h1 { font-size: 26px; margin: 0; } h2 { font-size: 16px; margin: 0 0 12px; }
header p, .note { color: var(--soft); margin: 4px 0 0; font-size: 14px; } section, .figures div { background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
section { padding: 20px; margin-top: 16px; } .figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); gap: 12px; margin: 24px 0 0; }
.figures div { padding: 14px 16px; } dt, .figures p { color: var(--soft); font-size: 13px; margin: 0; } dd { font-size: 24px; font-weight: 600; margin: 2px 0; font-variant-numeric: tabular-nums; }
svg { width: 100%; height: auto; display: block; } .bar { fill: var(--main); } .bar.over { fill: var(--over); } .grid { stroke: var(--line); } .axis { fill: var(--soft); font-size: 12px; }
line.cutoff { stroke: var(--over); stroke-dasharray: 5 4; stroke-width: 1.5; } text.cutoff { fill: var(--over); font-size: 12px; font-weight: 600; }
.findings { list-style: none; margin: 0; padding: 0; } .findings li { display: flex; gap: 10px; padding: 6px 0; } .findings b { flex: 0 0 1em; text-align: center; } .findings em { display: block; font-style: normal; color: var(--soft); }
.ok b { color: var(--good); } .warning b { color: var(--over); } .error b { color: var(--bad); }
table { border-collapse: collapse; width: 100%; } th { text-align: left; color: var(--soft); font-weight: 500; font-size: 13px; } th, td { padding: 6px 12px 6px 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; } tr:last-child td { border: 0; }
th:nth-child(n+3), td:nth-child(n+3) { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; max-height: 480px; overflow: auto; font: 13px/1.6 ui-monospace, "Noto Sans Mono CJK SC", monospace; } .masked { color: var(--soft); } .learnt { background: var(--mark); border-radius: 3px; }
`;
