import { inspectDatasetFile } from "../../agent/datasets/check.ts";
import { shapeOf } from "../../agent/datasets/shape.ts";
import { RowTokens } from "../../checks/datasets/row-tokens.ts";
import { tokenCounter } from "../../checks/datasets/token-counter.ts";
import { LengthCounts } from "../../recipe/dataset-statistics.ts";
import { chatTemplateOf } from "../../recipe/dataset-templates.ts";

/** `node data-pass.ts FILE TOKENIZER`: checks one file, with tokens where a tokenizer's folder is named; prints a Pass as JSON. */
const [file = "", folder = ""] = process.argv.slice(2);
const counter = folder === "" ? undefined : await tokenCounter(folder);
const tokens = counter === undefined ? undefined : new RowTokens(counter, shapeOf({}), chatTemplateOf("qwen"), {});
const lengths = new LengthCounts();
const before = process.cpuUsage();
const start = performance.now();
const { rows } = await inspectDatasetFile(file, {}, { onRow: (row) => tokens && lengths.add(tokens.count(row) ?? 0) });
const { user, system } = process.cpuUsage(before);
const cpuSeconds = (user + system) / 1e6;
const seconds = (performance.now() - start) / 1000;
const peakBytes = process.resourceUsage().maxRSS * 1024;
process.stdout.write(`${JSON.stringify({ rows, seconds, cpuSeconds, peakBytes, tokens: lengths.tokens })}\n`);
