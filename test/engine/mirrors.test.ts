import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { requirePython } from "../../agent/environment/python.ts";
import { chooseRoute } from "../../agent/environment/route.ts";
import { ensureUv } from "../../agent/environment/uv.ts";
import { installPackages } from "../../agent/environment/install.ts";
import { resolveModel } from "../../agent/weights/hub.ts";
import { buildRoute } from "../../cli/toolchain/build.ts";
import { officialRoute } from "../../cli/toolchain/official.ts";
import { findExecutable } from "../../cli/toolchain/executables.ts";
import { layoutOf } from "../../recipe/layout.ts";
import mirrors from "../../recipe/mirrors.json" with { type: "json" };
import { listen } from "../agent/context.ts";
import { type ConnectRecorder, recordConnects } from "../fixtures/connect-recorder.ts";
import { makeTestHome, sharedHome, type TestHome } from "../fixtures/home.ts";
import { environmentPython } from "../fixtures/tiny-model.ts";

/**
 * The real npm, uv, pip, Go and hub clients behind a proxy that lets nothing through: each step fails, and what counts
 * is whom it asked.
 */
const run = promisify(execFile);
const checkout = fileURLToPath(new URL("../..", import.meta.url));
const hostOf = (address: string) => new URL(address.split(",")[0] ?? "").hostname;
const { variables, torch } = mirrors.cn;

let recorder: ConnectRecorder;
let home: TestHome;
let folder: string;
let uv: string;

beforeAll(async () => {
  recorder = await recordConnects();
  home = await makeTestHome({ shared: ["tools"] });
  uv = await ensureUv(layoutOf(home.home), await requirePython(), listen());
});
afterAll(async () => {
  await recorder.close();
  await home.remove();
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tuneup-mirrors-"));
  for (const name of Object.keys(variables)) vi.stubEnv(name, undefined);
  for (const name of [
    "UV_INDEX_URL",
    "UV_FIND_LINKS",
    "PIP_FIND_LINKS",
    "PIP_EXTRA_INDEX_URL",
    "no_proxy",
    "NO_PROXY",
  ]) {
    vi.stubEnv(name, undefined);
  }
  for (const name of ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]) {
    vi.stubEnv(name, recorder.url);
  }
  vi.stubEnv("TUNEUP_MIRRORS", "cn");
  // Nothing from a cache: every file would have to be fetched.
  vi.stubEnv("UV_CACHE_DIR", join(folder, "uv"));
  vi.stubEnv("UV_HTTP_RETRIES", "0");
  recorder.takeHosts();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

test("npm asks its mirror alone", async () => {
  const bootstrap = new URL("../../scripts/bootstrap.mjs", import.meta.url).href;
  // One package, locked as ours are: without an address, which npm makes from its registry.
  const known = JSON.parse(await readFile(join(checkout, "package-lock.json"), "utf8")) as {
    packages: Record<string, { version: string; resolved?: string }>;
  };
  const zod = known.packages["node_modules/zod"];
  expect(zod?.resolved).toBeUndefined();
  const project = { name: "one", version: "1.0.0", dependencies: { zod: zod?.version } };
  const packages = { "": project, "node_modules/zod": zod };
  await writeFile(join(folder, "package.json"), JSON.stringify(project));
  await writeFile(join(folder, "package-lock.json"), JSON.stringify({ ...project, lockfileVersion: 3, packages }));
  const code = `import { ensureDependencies } from ${JSON.stringify(bootstrap)}; await ensureDependencies(${JSON.stringify(folder)});`;
  const npm = { npm_config_cache: join(folder, "npm"), npm_config_fetch_retries: "0", npm_config_audit: "false" };
  const inherited = Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name));
  await expect(
    run(process.execPath, ["--input-type=module", "-e", code], {
      env: { ...Object.fromEntries(inherited), ...npm, npm_config_userconfig: join(folder, "npmrc") },
    }),
  ).rejects.toThrow("npm ci failed");
  expect(recorder.takeHosts()).toEqual([hostOf(variables.npm_config_registry)]);
});

test("uv asks the mirrors of torch and PyPI alone, on a CPU as with a GPU", async () => {
  const python = await requirePython();
  const gpus = [{ name: "Test", memoryBytes: 8e9, driver: "580.65.06" }];
  const cpu = await chooseRoute({ device: "cpu", gpus: [], uv, python: python.path }, listen());
  // The mirror of torch could not be asked: what is left is PyPI's own build, from its mirror.
  expect(cpu.source).toBe("pypi");
  const asked = recorder.takeHosts();
  const allowed = [hostOf(torch), hostOf(variables.UV_DEFAULT_INDEX)];
  expect(asked).toContain(hostOf(torch));
  expect(asked.filter((host) => !allowed.includes(host))).toEqual([]);
  const cuda = await chooseRoute({ device: "cuda", gpus, uv, python: python.path }, listen());
  expect(cuda.source).toBe("pypi");
  await run(uv, ["venv", "--quiet", "--python", python.path, join(folder, "env")]);
  const installation = { folder: join(folder, "env"), python, uv, route: cuda, extras: ["badam"] as const };
  await expect(installPackages(installation, listen())).rejects.toMatchObject({ code: "install-failed" });
  expect(recorder.takeHosts()).toEqual([hostOf(variables.UV_DEFAULT_INDEX)]);
});

test("uv itself comes from the mirror of PyPI", async () => {
  const python = await requirePython();
  vi.stubEnv("PATH", "/usr/bin:/bin");
  await mkdir(join(folder, "home"), { recursive: true });
  // pip's way; the other one, for a Python without pip, asks the same address.
  await ensureUv(layoutOf(join(folder, "home")), python, listen()).catch(() => undefined);
  expect(recorder.takeHosts()).toEqual([hostOf(variables.PIP_INDEX_URL)]);
});

test("the Pulumi CLI is built from the modules of Go's mirror: there is no mirror of its downloads", async () => {
  const report = { step: () => undefined, progress: () => undefined };
  const context = { home: folder, environment: process.env, report, signal: new AbortController().signal };
  await expect(officialRoute.install(folder, context)).rejects.toMatchObject({ code: "pulumi-mirrorless" });
  expect(recorder.takeHosts()).toEqual([]);
  const go = await findExecutable("go", process.env["PATH"]);
  expect(go, "Go builds the Pulumi CLI").toBeDefined();
  const environment = { ...process.env, GOMODCACHE: join(folder, "modules"), GOFLAGS: "-modcacherw" };
  await expect(buildRoute.install(folder, { ...context, environment })).rejects.toMatchObject({ code: "go-failed" });
  expect(recorder.takeHosts()).toEqual([hostOf(variables.GOPROXY)]);
});

test("the hubs' clients ask ModelScope and Hugging Face's mirror", async () => {
  const environment = dirname(dirname(await environmentPython(sharedHome)));
  const access = { layout: layoutOf(home.home), environment, token: undefined };
  const model = { source: "hub", id: "Qwen/Qwen2.5-0.5B-Instruct" } as const;
  await expect(resolveModel(access, model, listen())).rejects.toBeDefined();
  const asked = recorder.takeHosts();
  expect(asked).toContain(hostOf(variables.HF_ENDPOINT));
  expect(asked.filter((host) => !/(^|\.)modelscope\.cn$/.test(host))).toEqual([hostOf(variables.HF_ENDPOINT)]);
});

test("without the switch the default hosts are asked: the recorder would have seen them", async () => {
  vi.stubEnv("TUNEUP_MIRRORS", undefined);
  const python = await requirePython();
  await chooseRoute({ device: "cpu", gpus: [], uv, python: python.path }, listen());
  expect(recorder.takeHosts()).toContain("download.pytorch.org");
  expect(await readFile(join(checkout, "recipe/mirrors.json"), "utf8")).not.toContain("download.pytorch.org");
});
