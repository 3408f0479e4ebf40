import { chmod, cp, mkdir, readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { childEnvironment } from "../../agent/processes.ts";
import { runDeclare, runWait } from "../../agent/runs/commands.ts";
import { runPaths } from "../../agent/runs/paths.ts";
import { verifyWeightsFolder } from "../../agent/weights/verify.ts";
import { bundledShape } from "../../recipe/estimates/bundled.ts";
import { diskOf } from "../../recipe/estimates/disk.ts";
import { trainingOf } from "../../recipe/estimates/training.ts";
import { experimentSchema } from "../../recipe/experiment-schema.ts";
import { layoutOf } from "../../recipe/layout.ts";
import general from "../../recipe/embedded/general.json" with { type: "json" };
import { collect, killRun } from "../agent/runs/harness.ts";
import { makeTestHome, type TestHome } from "../fixtures/home.ts";
import { environmentPython, tinyModel } from "../fixtures/tiny-model.ts";

/**
 * The errors that the tutorial's readers meet, each staged on the machine around us, and none of them reaches the run:
 * docs/from-the-tutorial.md.
 */
let home: TestHome;
let python: string;
let model: string;
const before = { ...process.env };

beforeAll(async () => {
  home = await makeTestHome();
  python = await environmentPython(home.home);
  model = await tinyModel(home.home, python);
  await stageBrokenMachine(join(home.home, "user"));
});

afterAll(async () => {
  for (const name of Object.keys(process.env)) if (!(name in before)) Reflect.deleteProperty(process.env, name);
  Object.assign(process.env, before);
  await killRun(paths());
  await home.remove();
});

const paths = () => runPaths(layoutOf(home.home), "notebook-1");

/** omegaconf's metadata that pip >= 24.1 refuses, packages that break every import of them, and no llamafactory-cli. */
async function stageBrokenMachine(user: string): Promise<void> {
  for (const version of ["3.11", "3.12", "3.13"]) {
    await breakPackages(join(user, ".local/lib", `python${version}`, "site-packages"));
  }
  const onPath = join(user, "python-path");
  await breakPackages(onPath);
  const bin = join(user, "bin");
  await mkdir(bin);
  await writeFile(
    join(bin, "llamafactory-cli"),
    "#!/bin/sh\necho 'llamafactory-cli: command not found' >&2\nexit 127\n",
  );
  await chmod(join(bin, "llamafactory-cli"), 0o755);
  process.env["HOME"] = user;
  process.env["PYTHONPATH"] = onPath;
  process.env["PYTHONHOME"] = join(user, "nowhere");
  process.env["PYTHONSTARTUP"] = join(onPath, "omegaconf.py");
  process.env["PIP_REQUIRE_VIRTUALENV"] = "1";
  process.env["PIP_TARGET"] = onPath;
  process.env["PATH"] = `${bin}:${process.env["PATH"] ?? ""}`;
}

async function breakPackages(folder: string): Promise<void> {
  const metadata = join(folder, "omegaconf-2.0.6.dist-info");
  await mkdir(metadata, { recursive: true });
  const text = "Metadata-Version: 2.1\nName: omegaconf\nVersion: 2.0.6\nRequires-Dist: PyYAML (>=5.1.*)\n";
  await writeFile(join(metadata, "METADATA"), text);
  for (const name of ["omegaconf", "torch", "transformers", "llamafactory", "yaml"]) {
    await writeFile(join(folder, `${name}.py`), `raise ImportError("${name} of the system's packages was imported")\n`);
  }
}

test("the machine is as broken as it is meant to be", async () => {
  // With PYTHONHOME left out: with it Python does not even start.
  const variables = { ...process.env };
  delete variables["PYTHONHOME"];
  const started = await execa(python, ["-c", "import llamafactory"], {
    env: variables as Record<string, string>,
    extendEnv: false,
    reject: false,
  });
  expect(started.stderr).toContain("llamafactory of the system's packages was imported");
  const cli = await execa("llamafactory-cli", ["train"], { reject: false });
  expect(cli.exitCode).toBe(127);
});

test("pip's refusal of omegaconf: the environment sees none of the system's packages, and has omegaconf as it is locked", async () => {
  const names = ["omegaconf", "torch", "transformers", "yaml"];
  const { stdout } = await execa(
    python,
    [
      "-c",
      `import ${names.join(", ")}\nfor m in (${names.join(", ")}): print(m.__file__)\nprint(omegaconf.__version__)`,
    ],
    { env: childEnvironment({ PYTHONNOUSERSITE: "1" }), extendEnv: false },
  );
  const environment = dirname(dirname(python));
  const files = stdout.split("\n");
  const version = files.pop();
  expect(files).toHaveLength(names.length);
  for (const file of files) expect(file.startsWith(environment)).toBe(true);
  const lock = await readFile(join(environment, "base.lock"), "utf8");
  expect(version).toBe(/^omegaconf==(\S+)/m.exec(lock)?.[1]);
  expect(version).not.toBe("2.0.6");
});

test("`llamafactory-cli: command not found`: a run is started by path and trains to its end", async () => {
  const datasets = join(home.home, "datasets", "notebook");
  await mkdir(datasets, { recursive: true });
  await writeFile(join(datasets, "general.json"), JSON.stringify(general));
  await writeFile(join(datasets, "dataset_info.json"), JSON.stringify({ general: { file_name: "general.json" } }));
  const spec = {
    schemaVersion: 1,
    experiment: "notebook",
    run: "notebook-1",
    device: "cpu",
    artifact: "adapter",
    config: {},
    environment: dirname(dirname(python)),
    arguments: {
      ...{ stage: "sft", do_train: true, finetuning_type: "lora", lora_rank: 4, template: "qwen", cutoff_len: 64 },
      ...{ per_device_train_batch_size: 2, max_steps: 1, logging_steps: 1, save_strategy: "no", report_to: "none" },
      ...{ use_cpu: true, dataloader_pin_memory: false, model_name_or_path: model },
      ...{ dataset: "general", dataset_dir: datasets, output_dir: paths().output },
    },
  } as const;
  await runDeclare({ dataDirectory: home.home, spec }, collect());
  const { status } = await runWait({ dataDirectory: home.home, run: "notebook-1" }, collect());
  expect(status).toMatchObject({ state: "complete", attempt: 1, step: 1 });
});

test("an incomplete shard is named before anything is loaded, and so is a Git LFS pointer in its place", async () => {
  const clone = join(home.home, "clone");
  await cp(model, clone, { recursive: true });
  const [shard = ""] = (await readdir(clone)).filter((name) => name.endsWith(".safetensors"));
  await truncate(join(clone, shard), 100_000);
  expect(await verifyWeightsFolder(clone)).toMatch(new RegExp(`${shard} is truncated`));
  const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0000\nsize 3945441440\n";
  await writeFile(join(clone, shard), pointer);
  expect(await verifyWeightsFolder(clone)).toMatch(/Git LFS pointer.*git lfs pull/);
});

test("the 100 GB limit is known before anything is fetched: the tutorial's LoRA stays under it, the same in full does not", () => {
  const shape = bundledShape("Qwen/Qwen2.5-7B-Instruct")!;
  const { budget } = experimentSchema.parse({
    ...{
      model: { source: "modelscope", id: "Qwen/Qwen2.5-7B-Instruct" },
      datasets: [{ builtin: "general" }],
      train: {},
    },
  });
  const bytes = (finetuning_type: string) => {
    const train = {
      stage: "sft",
      finetuning_type,
      lora_target: "all",
      cutoff_len: 1024,
      per_device_train_batch_size: 1,
    };
    const question = { train, variants: [], steps: 5000, tokens: 1e6 };
    return diskOf(shape, trainingOf(train, shape, 1), question).total;
  };
  expect(budget.diskGB).toBe(100);
  expect(bytes("lora")).toBeLessThan(budget.diskGB * 1e9);
  expect(bytes("full")).toBeGreaterThan(budget.diskGB * 1e9);
});
