import { mkdir, readdir, readFile, readlink, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { basename, dirname, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { webuiPackages } from "../../cli/webui/packages.ts";
import general from "../../recipe/embedded/general.json" with { type: "json" };
import { layoutOf } from "../../recipe/layout.ts";
import type { RunStatus } from "../../recipe/lifecycle.ts";
import type { RunSpec } from "../../recipe/protocol.ts";
import { collect, until } from "../agent/runs/harness.ts";
import { makeTestHome, sharedHome, type TestHome } from "../fixtures/home.ts";
import { makeTestProject, type TestProject } from "../fixtures/project.ts";
import { environmentPython, tinyModel } from "../fixtures/tiny-model.ts";

/** LlamaBoard as `tuneup webui` starts it: its packages are installed once into the shared data directory, beside the environment. */
let home: TestHome;
let project: TestProject;
let group: number | undefined;
let said = "";
let ended = false;

beforeAll(async () => {
  [home, project] = await Promise.all([makeTestHome(), makeTestProject()]);
  const environment = dirname(dirname(await environmentPython(home.home)));
  const packages = await webuiPackages(sharedHome, environment, collect());
  await mkdir(`${home.home}/webui`, { recursive: true });
  await symlink(packages, `${home.home}/webui/${basename(packages)}`);
  await project.writeStack("board", { target: "local" });
  await writeRun(environment, await tinyModel(sharedHome));
});
afterAll(async () => {
  if (group !== undefined && isGroupAlive(group)) process.kill(-group, "SIGKILL");
  await project.remove();
  await home.remove();
});

/** A run that was stopped: LlamaBoard needs its arguments, its model and its data. */
async function writeRun(environment: string, model: string): Promise<void> {
  const paths = layoutOf(home.home).run("board-1");
  const datasets = `${home.home}/datasets/tiny`;
  for (const folder of [paths.directory, datasets]) await mkdir(folder, { recursive: true });
  await writeFile(`${datasets}/general.json`, JSON.stringify(general));
  await writeFile(`${datasets}/dataset_info.json`, JSON.stringify({ general: { file_name: "general.json" } }));
  const spec: RunSpec = {
    ...{ schemaVersion: 1, experiment: "board", run: "board-1", environment, device: "cpu", artifact: "adapter" },
    arguments: {
      ...{ stage: "sft", do_train: true, finetuning_type: "lora", lora_rank: 4, template: "qwen", cutoff_len: 128 },
      ...{ learning_rate: 1e-3, num_train_epochs: 3, model_name_or_path: model, dataset: "general" },
      ...{ dataset_dir: datasets, output_dir: paths.output },
    },
    config: {},
  };
  const at = new Date().toISOString();
  const status: RunStatus = {
    ...{ schemaVersion: 1, run: "board-1", state: "stopped", attempt: 1, step: 1, totalSteps: 21 },
    ...{ declaredAt: at, updatedAt: at, endedAt: at },
  };
  await writeFile(paths.spec, JSON.stringify(spec));
  await writeFile(paths.status, JSON.stringify(status));
}

function isGroupAlive(id: number): boolean {
  try {
    process.kill(-id, 0);
    return true;
  } catch {
    return false;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

/** Where the processes of a group listen: `ADDRESS:PORT` in the kernel's hexadecimal words. */
async function listening(id: number): Promise<string[]> {
  const inodes = new Set<string>();
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const words = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
    if (Number(words.slice(words.lastIndexOf(")") + 2).split(" ")[2]) !== id) continue;
    for (const file of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const target = await readlink(`/proc/${pid}/fd/${file}`).catch(() => "");
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
      if (inode !== undefined) inodes.add(inode);
    }
  }
  const tables = await Promise.all(
    ["tcp", "tcp6"].map((name) => readFile(`/proc/net/${name}`, "utf8").catch(() => "")),
  );
  const sockets = tables.flatMap((table) => table.split("\n").map((line) => line.trim().split(/\s+/)));
  return sockets.flatMap(([, local = "", , state, , , , , , inode = ""]) =>
    state === "0A" && inodes.has(inode) ? [local] : [],
  );
}

/** What one of LlamaBoard's own buttons answers. */
async function press(url: string, button: string, data: readonly unknown[]): Promise<string> {
  const call = `${url}/gradio_api/call/${button}`;
  const headers = { "content-type": "application/json" };
  const asked = await fetch(call, { method: "POST", headers, body: JSON.stringify({ data }) });
  const { event_id: event } = (await asked.json()) as { event_id: string };
  return (await fetch(`${call}/${event}`)).text();
}

test.runIf(process.platform === "linux")(
  "it answers on loopback alone, loads the experiment's configuration, and leaves no process",
  async () => {
    const port = await freePort();
    const words = [join(project.folder, "cli/main.ts"), "webui", "board", "--port", String(port)];
    const started = execa(process.execPath, words, {
      ...{ cwd: project.folder, env: home.environment, extendEnv: false, reject: false, all: true, stdin: "ignore" },
      // As at a terminal: one group, which Ctrl-C reaches.
      detached: true,
    });
    started.all.setEncoding("utf8").on("data", (text: string) => (said += text));
    void started.then(() => (ended = true));
    const id = started.pid ?? 0;
    group = id;
    const url = `http://127.0.0.1:${port}`;
    await until(async () => {
      if (ended) throw new Error(said);
      return fetch(url).then(
        ({ ok }) => ok,
        () => false,
      );
    });
    expect(await (await fetch(url)).text()).toContain("LLaMA Factory");

    const loopback = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
    expect(await listening(id)).toEqual([loopback]);

    expect(said).toContain("enter board.yaml as config path");
    const loaded = await press(url, "load_args", ["en", "board.yaml"]);
    expect(loaded).toMatch(/^event: complete/m);
    // Its learning rate's field, and the dataset that it trains on.
    expect(loaded).toContain('"0.001"');
    expect(loaded).toContain('"general"');
    const absent = await press(url, "load_args", ["en", "absent.yaml"]);
    expect(absent).not.toContain('"general"');

    process.kill(-id, "SIGINT");
    const { exitCode } = await started;
    expect(exitCode, said).toBe(0);
    await until(() => !isGroupAlive(id));
    await expect(fetch(url)).rejects.toThrow();
  },
);
