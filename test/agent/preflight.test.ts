import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { writeJson } from "../../agent/files.ts";
import { tryLock } from "../../agent/lock.ts";
import { preflight, whyUnwritable } from "../../agent/preflight.ts";
import { layoutOf } from "../../recipe/layout.ts";
import { commands } from "../../recipe/protocol.ts";
import { listen } from "./context.ts";

let root: string;
beforeEach(async () => (root = await mkdtemp(join(tmpdir(), "tuneup-preflight-"))));
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(root, { recursive: true, force: true });
});

it("tells facts that the protocol admits, and creates the data directory", async () => {
  const facts = await preflight({ dataDirectory: join(root, "a", "b") }, listen());
  expect(commands.preflight.output.parse(facts)).toEqual(facts);
  expect(facts.unwritable).toBeUndefined();
  expect(facts.python?.version).toMatch(/^3\.1[123]\./);
  expect(facts.memoryBytes).toBeGreaterThanOrEqual(facts.memoryFreeBytes);
  expect(facts.diskFreeBytes).toBeGreaterThan(0);
  expect(facts.environment).toBeNull();
});

it("finds a Python below the best names, and none that is too old or too new", async () => {
  const python = async (name: string, version: string) => {
    const path = join(root, name);
    await writeFile(path, `#!/bin/sh\necho ${path}\necho ${version} True\n`);
    await chmod(path, 0o755);
  };
  vi.stubEnv("PATH", root);
  vi.stubEnv("XDG_DATA_HOME", root);
  await python("python3", "3.14.0");
  await python("python3.12", "3.10.9");
  const home = join(root, "home");
  expect((await preflight({ dataDirectory: home }, listen())).python).toBeNull();
  await python("python3.11", "3.11.4");
  expect((await preflight({ dataDirectory: home }, listen())).python?.version).toBe("3.11.4");
  await python("python3.13", "3.13.1");
  expect((await preflight({ dataDirectory: home }, listen())).python).toEqual({
    path: join(root, "python3.13"),
    version: "3.13.1",
  });
  // The answer is remembered: it is not believed once the interpreter is gone.
  await rm(join(root, "python3.13"));
  expect((await preflight({ dataDirectory: home }, listen())).python?.version).toBe("3.11.4");
});

it("says in words why the data directory can't be written", async () => {
  const file = join(root, "file");
  await writeFile(file, "");
  expect(await whyUnwritable(file)).toBe(`${file} is a file, not a folder`);
  expect(await whyUnwritable(join(file, "below"))).toContain("is not a folder");
  expect(await whyUnwritable(`/${"x".repeat(300)}`)).toContain("is too long");
  const facts = await preflight({ dataDirectory: file }, listen());
  expect(facts.unwritable).toContain("is a file");
});

it.runIf(process.platform === "linux")("says so of a file system that takes no files", async () => {
  expect(await whyUnwritable("/proc/tuneup")).toMatch(/\/proc\/tuneup/);
});

it("says that a permission lacks", async () => {
  const closed = join(root, "closed");
  await chmod(root, 0o755);
  await mkdir(closed, { mode: 0o555 });
  // Root may write everywhere: it asks as nobody.
  const isRoot = process.getuid?.() === 0;
  if (isRoot) process.seteuid?.("nobody");
  try {
    expect(await whyUnwritable(closed)).toBe(`no permission to write in ${closed}`);
    expect(await whyUnwritable(join(closed, "new"))).toContain("no permission to create");
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
});

it("tells a free port, a taken one, and the experiment's own", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const ask = async (experiment = "mine") =>
    (await preflight({ dataDirectory: root, port: { host: "127.0.0.1", port, experiment } }, listen())).port;
  expect(await ask()).toBe("taken");
  const endpoint = layoutOf(root).endpoint("mine");
  const base = { schemaVersion: 1, experiment: "mine", run: "r", state: "ready", host: "127.0.0.1", models: [] };
  await writeJson(endpoint.status, { ...base, port, updatedAt: new Date().toISOString() });
  // The record alone proves nothing: its gateway may be dead, and another program may have the port.
  expect(await ask()).toBe("taken");
  const lock = tryLock(endpoint.lock);
  expect(await ask()).toBe("ours");
  expect(await ask("other")).toBe("taken");
  lock?.release();
  await new Promise((resolve) => server.close(resolve));
  expect(await ask()).toBe("free");
});
