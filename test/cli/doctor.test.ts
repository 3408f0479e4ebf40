import { execFile } from "node:child_process";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeBundle } from "../../cli/doctor/bundle.ts";
import type { Check } from "../../cli/doctor/check.ts";
import { asText, examine } from "../../cli/doctor/doctor.ts";
import { machineChecks, preflightChecks } from "../../cli/doctor/machine.ts";
import { say } from "../../cli/language/say.ts";
import { layoutOf } from "../../recipe/layout.ts";
import { makeFolder, writeGo, writeProgram, writePulumi } from "./fake-tools.ts";

let folder: string;
let home: string;
let remove: () => Promise<void>;

beforeEach(async () => {
  ({ folder, remove } = await makeFolder());
  home = join(folder, "home");
});
afterEach(() => remove());

/** Every server is refused at once by a proxy that is not there. */
const unreachable = { HTTPS_PROXY: "http://127.0.0.1:9", HTTP_PROXY: "http://127.0.0.1:9" };

function stateOf(checks: readonly Check[], name: string): string | undefined {
  return checks.find((check) => check.name === name)?.state;
}

test("tools that are there are ok with their versions; servers that can't be reached are no failure where there is another way", async () => {
  const bin = join(folder, "bin");
  await writePulumi(bin, "3.300.0");
  await writeGo(bin);
  await writeProgram(join(bin, "npm"), "console.log('11.0.0')");
  const checks = await examine(home, { HOME: folder, PATH: bin, ...unreachable });
  for (const name of ["node", "npm", "pulumi", "go", "data directory", "backend"])
    expect(stateOf(checks, name)).toBe("ok");
  expect(checks.find((check) => check.name === "pulumi")?.detail).toContain("3.300.0");
  for (const name of ["PyTorch", "Hugging Face", "ModelScope", "Pulumi"]) expect(stateOf(checks, name)).toBe("note");
  expect(stateOf(checks, "PyPI")).toBe("warning");
});

test("without Pulumi, Go and npm it says what to install", async () => {
  const checks = await examine(home, { HOME: folder, PATH: folder, ...unreachable });
  expect(stateOf(checks, "npm")).toBe("missing");
  expect(stateOf(checks, "go")).toBe("warning");
  const text = asText(checks);
  expect(text).toMatch(/Go >= 1\.25 \(https:\/\/go\.dev\/dl\/\)/);
  expect(text).toMatch(/\d+ missing\n$/);
  for (const check of checks.filter(({ state }) => state === "warning" || state === "missing")) {
    expect(check.next, check.name).toBeDefined();
  }
});

test("too little disk and memory, no Python and an unusable folder are told with what to do", async () => {
  const checks = await machineChecks(
    {
      platform: "linux",
      arch: "x64",
      cores: 2,
      memoryBytes: 4e9,
      memoryFreeBytes: 1e9,
      diskFreeBytes: 2e9,
      unwritable: "the disk is full",
      python: null,
      gpus: [],
      port: "taken",
      environment: null,
    },
    home,
    { HOME: folder },
  );
  expect(checks.filter((check) => check.state === "missing").map((check) => check.name)).toEqual([
    "python",
    "disk",
    "data directory",
  ]);
  expect(stateOf(checks, "memory")).toBe("warning");
  expect(stateOf(checks, "port")).toBe("note");
});

test("a host without Python that reaches PyPI is brought one: nothing is missing", () => {
  const egress = { pypi: true, huggingface: false, modelscope: false };
  const facts = {
    ...{ platform: "linux", arch: "x64", cores: 2, memoryBytes: 4e9, memoryFreeBytes: 1e9, diskFreeBytes: 1e11 },
    ...{ python: null, gpus: [], environment: null },
  };
  expect(stateOf(preflightChecks({ ...facts, egress }, home, say), "python")).toBe("note");
  expect(stateOf(preflightChecks(facts, home, say), "python")).toBe("missing");
});

test("--json prints one JSON document and nothing else on stdout", async () => {
  const program = new URL("../../cli/tuneup.mjs", import.meta.url).pathname;
  const environment = { ...process.env, ...unreachable, TUNEUP_HOME: home };
  const { stdout } = await promisify(execFile)(process.execPath, [program, "doctor", "--json"], {
    env: environment,
  }).catch((thrown: unknown) => thrown as { stdout: string });
  const told = JSON.parse(stdout) as { home: string; checks: Check[] };
  expect(told.home).toBe(home);
  expect(stateOf(told.checks, "node")).toBe("ok");
});

test("the bundle has the newest run's records and logs, and no canary planted anywhere", async () => {
  const canary = (where: string) => `canary-${where}-1234567890`;
  const run = layoutOf(home).run("run-1");
  const endpoint = layoutOf(home).endpoint("local");
  await mkdir(run.directory, { recursive: true });
  await mkdir(endpoint.directory, { recursive: true });
  await writeFile(`${home}/passphrase`, canary("passphrase"));
  await writeFile(endpoint.key, `${canary("endpoint")}\n`);
  await writeFile(run.status, JSON.stringify({ run: "run-1", state: "failed", detail: `in ${home}/runs` }));
  await writeFile(run.spec, JSON.stringify({ config: { hub_token: canary("spec") } }));
  await writeFile(
    run.log,
    [
      "[INFO|x] loading",
      `token was ${canary("variable")}, passphrase ${canary("passphrase")}`,
      `file ${folder}/secret-folder`,
      "training example:",
      "inputs:",
      canary("row"),
      "[INFO|x] the end of the log",
    ].join("\n"),
  );
  await writeFile(endpoint.status, JSON.stringify({ state: "ready" }));
  await writeFile(endpoint.log, `GET / Authorization: Bearer ${canary("header")}\nkey ${canary("endpoint")}\n`);
  const file = join(folder, "bundle.tar.gz");

  const checks: Check[] = [{ name: "backend", state: "ok", detail: `https://me:${canary("url")}@example.com` }];
  const variables = { HOME: folder, HF_TOKEN: canary("variable"), HTTPS_PROXY: `http://me:${canary("proxy")}@proxy` };
  const names = await writeBundle(file, checks, home, variables);

  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const text = gunzipSync(await readFile(file)).toString();
  expect(text).not.toContain("canary");
  expect(text).not.toContain(folder);
  expect(names).toEqual(
    expect.arrayContaining(["versions.json", "run/status.json", "run/trainer.log", "endpoint/gateway.log"]),
  );
  expect(text).toContain("the end of the log");
  expect(text).toContain("HF_TOKEN");
  // Anybody's tar reads it.
  const { stdout } = await promisify(execFile)("tar", ["tzf", file]);
  expect(stdout.trim().split("\n")).toEqual(names);
});

test("a bundle that can't be written is one sentence", async () => {
  await expect(writeBundle(join(folder, "none", "b.tar.gz"), [], home, { HOME: folder })).rejects.toMatchObject({
    code: "bundle-unwritable",
  });
});
