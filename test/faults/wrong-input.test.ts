import { once } from "node:events";
import { cp, mkdir, readdir, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { delimiter, dirname, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { processesOf } from "./processes.ts";
import { expectSentence } from "./soundness.ts";
import { openStage, type Stage } from "./stage.ts";

/** What is wrong is told by `tuneup preview`: property, value, what is allowed, what to do. Nothing is started. */
const name = "tiny";
let stage: Stage;

beforeAll(async () => {
  stage = await openStage();
});
beforeEach(() => stage.write(name, 3));
afterAll(() => stage.remove());

async function expectNothingStarted(): Promise<void> {
  expect(await processesOf(stage.home)).toEqual([]);
  for (const folder of ["runs", "endpoints", "datasets"]) {
    expect(await readdir(join(stage.home, folder)).catch(() => [])).toEqual([]);
  }
}

/** Previews, and expects one sentence with these texts and nothing else done. */
async function expectRefused(...texts: (string | RegExp)[]): Promise<void> {
  const { code, said } = await stage.tuneup("preview", name);
  expectSentence({ code, said }, ...texts);
  await expectNothingStarted();
}

const rows = [{ instruction: "a", output: "b" }];

test.each<[string, Record<string, unknown>, (string | RegExp)[]]>([
  ["an unknown key", { modle: { id: "x" } }, [/^ {2}tuneup:modle: /m, /model/]],
  ["an unknown argument", { train: { learning_rat: 1 } }, [/^ {2}tuneup:train\.learning_rat: /m, /learning_rate/]],
  [
    "a word for a number",
    { train: { learning_rate: "fast" } },
    [/^ {2}tuneup:train\.learning_rate: /m, /number/, /"fast"/],
  ],
  ["an argument of ours", { train: { output_dir: "/x" } }, [/^ {2}tuneup:train\.output_dir: /m]],
  [
    "an engine that is not there",
    { serve: { engine: "sglang" } },
    [/^tuneup:serve\.engine: /m, /sglang/, /huggingface/],
  ],
])("%s", async (_what, config, texts) => {
  await stage.write(name, 3, config);
  await expectRefused(...texts);
});

test.each<[string, string | undefined, (string | RegExp)[]]>([
  ["missing", undefined, [/^tuneup:datasets\.0\.path: /m, /rows\.json/, /no such file\. Put it there/]],
  ["malformed", '[{"instruction": "a", ', [/^tuneup:datasets\.0\.path: /m, /rows\.json/]],
  [
    "without a column",
    JSON.stringify(rows.map(({ output }) => ({ output }))),
    [/^tuneup:datasets\.0\.path: /m, /instruction/],
  ],
])("a dataset file that is %s", async (_what, text, texts) => {
  const path = join(stage.folder, "rows.json");
  await rm(path, { force: true });
  if (text !== undefined) await writeFile(path, text);
  await stage.write(name, 3, { datasets: [{ path: "rows.json" }] });
  await expectRefused(...texts);
});

test.each<[string, (folder: string) => Promise<void>, RegExp]>([
  ["without a shard", (folder) => rm(join(folder, "model-00002-of-00002.safetensors")), /00002-of-00002.* is missing/],
  [
    "with a truncated shard",
    (folder) => truncate(join(folder, "model-00001-of-00002.safetensors"), 100_000),
    /00001-of-00002.* is truncated/,
  ],
])("a model folder %s", async (_what, damage, text) => {
  const folder = join(stage.folder, "model");
  await rm(folder, { recursive: true, force: true });
  await cp(stage.model, folder, { recursive: true });
  await damage(folder);
  await stage.write(name, 3, { model: { source: "path", id: "model" } });
  await expectRefused(/^tuneup:model\.id: /m, text);
});

test("a port that another program has", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await stage.write(name, 3, { serve: { port } });
  await expectRefused(
    /^tuneup:serve\.port: /m,
    new RegExp(`127\\.0\\.0\\.1:${port} is taken`),
    /or 0 for any free one/,
  );
  server.close();
});

test("no Python on PATH", async () => {
  const bin = join(stage.folder, "bin");
  await mkdir(bin);
  for (const tool of ["node", "pulumi", "pulumi-language-nodejs", "npm", "sh", "env", "readlink"]) {
    const { stdout, exitCode } = await execa("which", [tool], { reject: false });
    if (exitCode === 0) await symlink(stdout, join(bin, tool));
  }
  await rm(join(stage.home, "tools", "python.json"), { force: true });
  const variables = { PATH: bin, UV_PYTHON_INSTALL_DIR: join(stage.folder, "none") };
  const { stdout, stderr, exitCode } = await execa(process.execPath, ["cli/main.ts", "preview", name], {
    ...{ cwd: stage.folder, env: { ...stage.environment, ...variables }, extendEnv: false, reject: false },
  });
  expectSentence(
    { code: exitCode ?? null, said: `${stdout}\n${stderr}` },
    /^tuneup:host: .*Python 3\.11, 3\.12 or 3\.13/m,
    /Install one/,
  );
  await expectNothingStarted();
});

test("a data directory below a file", async () => {
  const file = join(stage.folder, "README.md");
  await stage.write(name, 3, { storage: { dataDirectory: `${file}/data` } });
  await expectRefused(/^tuneup:storage\.dataDirectory: /m, `${file}/data`, /not a folder/, /TUNEUP_HOME/);
});

test.each(["preview", "status"])(
  "%s in a TUNEUP_HOME below a file, or where the kernel allows no folder",
  async (word) => {
    for (const home of [`${join(stage.folder, "README.md")}/home`, "/proc/tuneup/home"]) {
      const env = {
        ...stage.environment,
        TUNEUP_HOME: home,
        PATH: [dirname(process.execPath), stage.environment["PATH"]].join(delimiter),
      };
      const { stdout, stderr, exitCode } = await execa(process.execPath, ["cli/main.ts", word, name], {
        ...{ cwd: stage.folder, env, extendEnv: false, reject: false },
      });
      expectSentence({ code: exitCode ?? null, said: `${stdout}\n${stderr}` }, home, /TUNEUP_HOME/);
    }
  },
);
