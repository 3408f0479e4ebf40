import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ensurePython, pinnedPython } from "../../../agent/environment/own-python.ts";
import { findPython } from "../../../agent/environment/python.ts";
import { layoutOf } from "../../../recipe/layout.ts";
import { listen } from "../context.ts";

/** A machine that has neither Python nor pip; its uv is a stand-in that records its words. */
let root: string;
let bin: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tuneup-python-"));
  bin = join(root, "bin");
  await mkdir(bin);
  for (const tool of ["sh", "mkdir", "chmod"]) await symlink(`/bin/${tool}`, join(bin, tool));
  vi.stubEnv("PATH", bin);
  vi.stubEnv("XDG_DATA_HOME", root);
  vi.stubEnv("UV_PYTHON_INSTALL_DIR", undefined);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(root, { recursive: true });
});

const layout = () => layoutOf(join(root, "home"));

async function uvThat(installs: string): Promise<void> {
  const text = `#!/bin/sh
if [ "$1" = --version ]; then echo "uv 0.13.9"; exit 0; fi
echo "$UV_PYTHON_INSTALL_MIRROR $*" >>"${root}/calls"
folder=$5/cpython-3.12.11-linux/bin
${installs}
`;
  await writeFile(join(bin, "uv"), text);
  await chmod(join(bin, "uv"), 0o755);
}

const works = `mkdir -p "$folder"; printf '#!/bin/sh\\necho "%s"; echo "3.12.11 True"\\n' "$folder/python3" >"$folder/python3"; chmod 755 "$folder/python3"`;

it("is installed by uv in the data directory, once, from the mirror that is named, and found from then on", async () => {
  await uvThat(works);
  vi.stubEnv("UV_PYTHON_INSTALL_MIRROR", "http://mirror.test/");
  const { tools } = layout();
  const path = `${tools}/python/cpython-3.12.11-linux/bin/python3`;
  const both = await Promise.all([1, 2].map(() => ensurePython(layout(), listen())));
  expect(both).toEqual([1, 2].map(() => ({ path, version: "3.12.11" })));
  const words = `python install ${pinnedPython} --install-dir ${tools}/python --no-bin --no-progress`;
  expect(await readFile(join(root, "calls"), "utf8")).toBe(`http://mirror.test/ ${words}\n`);
  expect(await findPython(`${tools}/python.json`)).toEqual({ path, version: "3.12.11" });
  expect(await findPython()).toBeNull();
});

it("that can't be fetched is told with the reason and what to do, as is a uv that can't", async () => {
  await uvThat(`echo "error: Failed to install cpython" >&2; echo "  Caused by: dns error" >&2; exit 1`);
  const missing = (reason: RegExp) => ({
    code: "python-missing",
    message: expect.stringMatching(reason) as string,
    next: expect.stringContaining("apt install python3") as string,
  });
  await expect(ensurePython(layout(), listen())).rejects.toMatchObject(
    missing(/uv could not install Python 3\.12\.11: Failed to install cpython: dns error\.$/),
  );
  await rm(join(bin, "uv"));
  // Nobody listens there any more.
  const server: Server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  vi.stubEnv("PIP_INDEX_URL", `http://127.0.0.1:${port}/simple`);
  await expect(ensurePython(layout(), listen())).rejects.toMatchObject(missing(/by index: .*ECONNREFUSED/));
});

it("is not looked for where packages were pushed: such a host has no way to one", async () => {
  await uvThat(works);
  await expect(ensurePython(layout(), listen(), "/wheels")).rejects.toMatchObject({ code: "python-missing" });
});
