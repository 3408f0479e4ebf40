import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { parse } from "yaml";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { dataFindings } from "../../../checks/datasets/findings.ts";
import { dataReport } from "../../../checks/datasets/report.ts";
import { checkConfig } from "../../../checks/experiment.ts";
import type { HostFacts } from "../../../checks/hardware.ts";
import { textOf } from "../../../cli/commands/check.ts";
import type { Examined } from "../../../cli/data/examine.ts";
import { asText } from "../../../cli/data/text.ts";
import { findingTexts } from "../../../cli/language/findings.ts";
import { inChinese, phrasesInChinese } from "../../../cli/language/phrases.ts";
import type { CheckFinding } from "../../../recipe/check-report.ts";
import { engineTrouble } from "../../../recipe/engines.ts";
import { h100 } from "../../fixtures/h100.ts";
import { readPins } from "../../../recipe/pins.ts";
import { readRunnableExperiment } from "../../../recipe/runnable-experiment.ts";
import { bad, badFiles, good, withChange } from "../../checks/bad-experiments.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const chinese = /[\u4e00-\u9fff]/;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tuneup-findings-"));
  for (const [name, text] of Object.entries(badFiles)) await writeFile(join(folder, name), text);
  vi.stubEnv("TUNEUP_HOME", join(folder, "home"));
  vi.stubEnv("TUNEUP_LANGUAGE", "zh");
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

const check = (config: Readonly<Record<string, unknown>>, project: string, host: HostFacts): Promise<CheckFinding[]> =>
  checkConfig(config, project, { home: join(folder, "home"), pins: readPins(undefined, "none"), host });

async function shipped(name: string): Promise<Record<string, unknown>> {
  const { config } = parse(await readFile(`${root}/stacks/Pulumi.${name}.yaml`, "utf8")) as {
    config: Record<string, unknown>;
  };
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [key.replace("tuneup:", ""), value]));
}

const changes = {
  "as it is": {},
  "with a budget of money": { budget: { usd: 100 }, compute: { pricePerHour: 2 } },
  "with intervals that never come": { more: { max_steps: 5, save_steps: 500 } },
};

test.each(
  ["local", "local-qwen", "qwen2.5-7b-lora", "ssh-demo", "aws-qwen2.5-7b", "eks-qwen2.5-7b"].flatMap((name) =>
    Object.entries(changes).map(([what, change]) => ({ name, what, change })),
  ),
)("no line of the check of $name, $what, stays English", async ({ name, change }) => {
  const { more = {}, ...rest } = change as { readonly more?: object };
  const stated = await shipped(name);
  const config = { ...stated, ...rest, train: { ...(stated["train"] as object), ...more } };
  for (const gpus of [h100.gpus, []]) {
    const [title, ...lines] = stripVTControlCharacters(textOf(name, await check(config, root, { ...h100, gpus })))
      .trimEnd()
      .split("\n");
    expect(title).toBe(name);
    expect(lines.length).toBeGreaterThan(2);
    expect(lines.filter((line) => !chinese.test(line))).toEqual([]);
  }
});

test.each<[string, object]>([
  ["as it is", {}],
  [
    "dear and open",
    { spot: true, region: "eu-west-1", zone: "eu-west-1b", instanceTypes: ["p5.48xlarge", "g5.xlarge"] },
  ],
  ["too small", { instanceTypes: ["g4dn.xlarge"], volume: { sizeGiB: 5 }, lease: { hours: 0.1, usd: 0.01 } }],
])("no line about a machine for aws, %s, stays English", async (_what, aws) => {
  const stated = { ...(await shipped("aws-qwen2.5-7b")), aws };
  const context = { home: join(folder, "home"), pins: readPins(undefined, "none") };
  const findings = await checkConfig(stated, root, context);
  expect(findings.filter(({ area }) => area === "machine")).toHaveLength(1);
  const lines = stripVTControlCharacters(textOf("x", findings)).trimEnd().split("\n").slice(1);
  expect(lines.filter((line) => !chinese.test(line))).toEqual([]);
  // Nothing but names and figures is left in English.
  const told = findings.filter(
    ({ code = "" }) => code.startsWith("aws-") && !code.endsWith("none") && code !== "aws-region",
  );
  for (const { message } of told) expect(inChinese(message), message).toBeDefined();
});

test("what to do and where a figure comes from are Chinese for every bad experiment", async () => {
  const english: string[] = [];
  let told = 0;
  for (const [, change] of bad) {
    for (const finding of await check(withChange(change), folder, h100)) {
      const { next, basis, lines } = findingTexts(finding, "zh");
      for (const text of [next, basis]) {
        if (text === undefined) continue;
        told += 1;
        if (!chinese.test(text)) english.push(text);
      }
      if (!chinese.test(lines[0] ?? "")) english.push(lines[0] ?? "");
    }
  }
  // If nothing were told, nothing would be English.
  expect(told).toBeGreaterThan(200);
  expect([...new Set(english)]).toEqual([]);
});

test("no line of the report on data stays English", async () => {
  const { experiment } = readRunnableExperiment({ ...good, datasets: [{ path: "good.json" }] }, folder);
  const report = await dataReport(experiment!, { home: join(folder, "home"), pins: readPins(undefined, "none") });
  const findings = dataFindings(report, experiment!);
  const lack = "the model is not on this machine yet; `up` brings it";
  const told = asText({ name: "x", report, findings, sample: undefined, sampleLack: lack } as unknown as Examined);
  const lines = stripVTControlCharacters(told)
    .split("\n")
    .filter((line) => line !== "");
  expect(lines.length).toBeGreaterThan(5);
  expect(lines.filter((line) => !chinese.test(line))).toEqual([]);
});

test("every basis in the sources, and all advice of the checks, has its Chinese", () => {
  const found = ["checks", "recipe", "agent/weights"].flatMap((place) =>
    readdirSync(join(root, place), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts"))
      .flatMap((path) => {
        const text = readFileSync(join(root, place, path), "utf8");
        const words = place === "checks" ? "basis|next" : "basis";
        const said = new RegExp(`\\b(?:${words})(?:: | =\\s+)"((?:[^"\\\\]|\\\\.)+)"`, "g");
        return [...text.matchAll(said)].map(([, one = ""]) => one);
      }),
  );
  expect(found.length).toBeGreaterThan(25);
  expect(found.filter((text) => inChinese(text) === undefined)).toEqual([]);
});

test("in English a finding is what it was", async () => {
  for (const finding of await check(good, folder, h100)) {
    const { lines, next, basis } = findingTexts(finding, "en");
    expect([lines.join(), next, basis]).toEqual([finding.message, finding.next, finding.basis]);
  }
});

test("figures and names come through, also those that are phrases themselves", () => {
  expect(inChinese("at most 28 steps take at most 11 s on the CPU (2642 tokens/s, within a factor of 1.5).")).toBe(
    "最多 28 步，在 CPU 上用时最多 11 秒（每秒 2642 个 token，误差在 1.5 倍以内）。",
  );
  expect(inChinese("Did you mean qwen or qwen3?")).toBe("您是不是想写 qwen 或 qwen3？");
  expect(inChinese("a sentence that nobody says")).toBeUndefined();
});

test("every phrase has the places and commands of its English", () => {
  const places = (text: string): string[] => [...text.matchAll(/\{\{\w+\}\}|`[^`]+`/g)].map(([found]) => found).sort();
  for (const [english, translated] of Object.entries(phrasesInChinese)) {
    expect(places(translated), english).toEqual(places(english));
  }
});

test.each([
  ["no GPU", { device: "cpu" }],
  ["another machine", { platform: "darwin", arch: "arm64" }],
  ["an old driver", { gpus: [{ name: "NVIDIA A10", memoryBytes: 24e9, driver: "470.1" }] }],
  ["an old card", { gpus: [{ name: "Tesla P100-PCIE-16GB", memoryBytes: 16e9, driver: "580.1" }] }],
] as const)("why vLLM can't be with %s is Chinese, and what to do", (_what, host) => {
  const trouble = engineTrouble("vllm", host);
  const { message = "", next = "" } = trouble ?? {};
  for (const text of [message, next]) {
    expect(inChinese(text), text).toMatch(chinese);
    expect(inChinese(text), text).not.toMatch(/\b(the|on a|needs|which)\b/);
  }
});
