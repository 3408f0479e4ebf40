import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { faultsInChinese } from "../../../cli/language/faults.ts";

const main = fileURLToPath(new URL("../../../cli/main.ts", import.meta.url));
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tuneup-language-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** The command in a Chinese locale, with no network. */
function tuneup(words: readonly string[], variables: Readonly<Record<string, string>> = {}) {
  const env = { HOME: folder, PATH: process.env["PATH"] ?? "", TUNEUP_HOME: join(folder, "home"), LANG: "zh_CN.UTF-8" };
  return execa(process.execPath, [main, ...words], {
    env: { ...env, HTTPS_PROXY: "http://127.0.0.1:9", HTTP_PROXY: "http://127.0.0.1:9", ...variables },
    extendEnv: false,
    reject: false,
  });
}

test("help is Chinese in a Chinese locale, and English where TUNEUP_LANGUAGE says so", async () => {
  const [chinese, english] = await Promise.all([
    tuneup(["up", "--help"]),
    tuneup(["up", "--help"], { TUNEUP_LANGUAGE: "en" }),
  ]);
  expect(chinese.stdout).toMatch(/^用法： tuneup up[\s\S]*训练一个实验[\s\S]*显示帮助/);
  expect(english.stdout).toMatch(
    /^Usage: tuneup up[\s\S]*train and serve an experiment[\s\S]*display help for command/,
  );
});

test("a fault is told in Chinese before its exact sentence, and with the same exit code", async () => {
  const { stderr, exitCode } = await tuneup(["status", "nowhere"]);
  expect(exitCode).toBe(1);
  const [line, sentence] = stderr.split("\n");
  expect(line).toBe(faultsInChinese["experiment-unknown"]);
  expect(sentence).toContain("there is no stacks/Pulumi.nowhere.yaml");
});

test("what a program reads is never translated", async () => {
  const { stdout } = await tuneup(["doctor", "--json"]);
  expect(JSON.parse(stdout)).toHaveProperty("checks");
  expect(stdout).not.toMatch(/[\u4e00-\u9fff]/);
  const text = await tuneup(["doctor"]);
  expect(text.stdout).toMatch(/正常 {5}node/);
  expect(text.stdout).toMatch(/缺少 \d+ 项$/);
});

test("an unknown language is refused with the known ones", async () => {
  const { stderr, exitCode } = await tuneup(["status"], { TUNEUP_LANGUAGE: "fr" });
  expect(exitCode).toBe(1);
  expect(stderr).toContain('must be one of en, zh, got "fr"');
});
