import { chmod, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ensureUv } from "../../../agent/environment/uv.ts";
import { layoutOf } from "../../../recipe/layout.ts";
import { listen } from "../context.ts";

let root: string;
let server: Server;
let wheel: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tuneup-uv-"));
  const machine = process.arch === "arm64" ? (process.platform === "darwin" ? "arm64" : "aarch64") : "x86_64";
  wheel = `uv-0.13.9-py3-none-${process.platform === "darwin" ? "macosx_11_0" : "manylinux_2_28"}_${machine}.whl`;
  server = createServer((request, response) => {
    const files = [{ filename: wheel, url: `/files/${wheel}`, hashes: {} }];
    response.end(request.url === "/simple/uv/" ? JSON.stringify({ files }) : "not the wheel that we pinned");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  vi.stubEnv("PIP_INDEX_URL", `http://127.0.0.1:${(server.address() as AddressInfo).port}/simple`);
  vi.stubEnv("PATH", root);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await new Promise((resolve) => server.close(resolve));
  await rm(root, { recursive: true });
});

async function program(name: string, text: string): Promise<string> {
  const path = join(root, name);
  await writeFile(path, `#!/bin/sh\n${text}\n`);
  await chmod(path, 0o755);
  return path;
}

const python = async () => ({
  path: await program("python3", "echo 'No module named pip' >&2; exit 1"),
  version: "3.12.1",
});
const layout = () => layoutOf(join(root, "home"));

it("takes a recent one on PATH and installs nothing", async () => {
  const path = await program("uv", "echo uv 0.10.1");
  expect(await ensureUv(layout(), await python(), listen())).toBe(path);
  await expect(readdir(layout().tools)).rejects.toThrow("ENOENT");
});

it("passes by an old one, tells why each route failed, and never runs a wheel of another hash", async () => {
  await program("uv", "echo uv 0.4.0");
  const context = listen();
  await expect(ensureUv(layout(), await python(), context)).rejects.toMatchObject({
    code: "uv-missing",
    message: expect.stringMatching(/by pip: No module named pip; by index: .* which is not the pinned one/) as string,
    next: expect.stringContaining("Install uv by hand") as string,
  });
  expect(context.logged[0]).toContain("is uv 0.4.0; 0.9.0 or newer is needed");
  expect(await readdir(layout().tools)).toEqual([]);
});
