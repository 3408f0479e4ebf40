import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect } from "../../hosts/connect.ts";
import type { Host } from "../../hosts/host.ts";
import { type FakeSsh, fakeSsh } from "./fake-ssh.ts";

let ssh: FakeSsh;
let spoken = 0;

beforeEach(async () => {
  ssh = await fakeSsh();
});
afterEach(() => ssh.remove());

/** A host that no other test has spoken to: the connection is kept by its name. */
const reach = (changes: object = {}): Promise<Host> =>
  connect({
    kind: "ssh",
    address: `gpu-${process.pid}-${(spoken += 1)}`,
    dataDirectory: "~/data",
    offline: true,
    ...changes,
  });

const digest = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

async function fileOf(name: string, size: number) {
  const bytes = randomBytes(size);
  const folder = join(ssh.home, "../here");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, name), bytes);
  return { folder, bytes, digest: { path: name, bytes: size, sha256: digest(bytes) } };
}

describe("a host behind ssh", () => {
  it("gets Node and the agent, once, readable by its user alone, and runs commands in its own data directory", async () => {
    const host = await reach();
    expect(host.dataDirectory).toBe(join(ssh.home, "data"));
    expect(host.isHere).toBe(false);
    expect(await host.run("run-list", { experiment: "none" })).toEqual([]);
    expect(await host.run("run-list", { experiment: "none" })).toEqual([]);
    const calls = await ssh.calls();
    expect(calls.filter((call) => call.includes("gzip -dc"))).toHaveLength(1);
    expect(calls.filter((call) => call.includes("run-list"))).toHaveLength(2);
    const { mode } = await stat(join(host.dataDirectory, "agent"));
    expect(mode & 0o077).toBe(0);
  });

  it("is asked in one round trip before anything of ours is there, and nothing is brought for that", async () => {
    const host = await reach();
    const before = (await ssh.calls()).length;
    const facts = await host.run("preflight", { egress: true });
    expect(facts).toMatchObject({
      platform: "linux",
      environment: null,
      egress: { pypi: expect.any(Boolean) as boolean },
    });
    expect(facts.cores).toBeGreaterThan(0);
    expect(facts.memoryBytes).toBeGreaterThan(facts.memoryFreeBytes / 2);
    expect(facts.diskFreeBytes).toBeGreaterThan(0);
    expect(facts.libc).toMatch(/glibc \d/);
    expect(Math.abs(facts.clockAheadSeconds ?? NaN)).toBeLessThan(60);
    const after = (await ssh.calls()).slice(before);
    expect(after.filter((call) => call.endsWith("exec bash -s"))).toHaveLength(1);
    expect(existsSync(host.dataDirectory)).toBe(false);
  });

  it("gets nothing before `up` where it has a Node of its own, and its agent answers from then on", async () => {
    await symlink(process.execPath, join(ssh.own, "node"));
    const host = await reach();
    expect((await host.run("preflight", {})).environment).toBeNull();
    expect(existsSync(host.dataDirectory)).toBe(false);
    await host.run("run-list", { experiment: "none" });
    await host.run("preflight", {});
    const calls = await ssh.calls();
    expect(calls.filter((call) => call.includes("gzip -dc"))).toEqual([]);
    expect(calls.filter((call) => call.endsWith(" preflight --lifeline"))).toHaveLength(1);
  });

  it("tells the agent's faults as they are", async () => {
    const host = await reach();
    await expect(host.run("run-wait", { run: "none-0123456789ab" })).rejects.toMatchObject({ code: "run-unknown" });
  });

  it("repeats a command after a lost connection, and says so", async () => {
    const host = await reach();
    await host.run("run-list", { experiment: "none" });
    await host.close();
    await ssh.refuse("ssh: connect to host gpu port 22: Connection refused");
    const said: string[] = [];
    const list = await host.run(
      "run-list",
      { experiment: "none" },
      {
        onProgress: ({ message }) => {
          said.push(message);
          void ssh.admit();
        },
      },
    );
    expect(list).toEqual([]);
    expect(said[0]).toMatch(/^the connection to gpu-\S+ is lost; trying again$/);
  });

  it("gives up when it is told to", async () => {
    const host = await reach();
    await host.run("run-list", { experiment: "none" });
    await ssh.refuse("ssh: connect to host gpu port 22: Connection refused");
    await host.close();
    const giveUp = new AbortController();
    const options = { signal: giveUp.signal, onProgress: () => giveUp.abort() };
    await expect(host.run("run-wait", { run: "x" }, options)).rejects.toMatchObject({ code: "ssh-unreachable" });
  });

  it("ends the agent when it is told to", async () => {
    const host = await reach();
    const giveUp = new AbortController();
    const spec = { experiment: "x", of: "run", follow: true, lines: 0 } as const;
    const logs = host.run("logs", spec, { signal: giveUp.signal, onProgress: () => undefined });
    await expect
      .poll(async () => (await ssh.calls()).some((call) => call.includes(" logs --lifeline")), { timeout: 30_000 })
      .toBe(true);
    giveUp.abort();
    await expect(logs).rejects.toThrow();
  });

  it.each([
    ["Host key verification failed.", "ssh-hostkey-unknown", /accept it: `ssh gpu-\S+ true`/],
    [
      "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
      "ssh-hostkey-changed",
      /ssh-keygen -R/,
    ],
    ["me@gpu: Permission denied (publickey).", "ssh-auth", /compute\.identity/],
    [
      "ssh: Could not resolve hostname gpu: Name or service not known",
      "ssh-unreachable",
      /any name that `ssh NAME` takes/,
    ],
    [
      "ssh: connect to host gpu port 22: Connection timed out",
      "ssh-unreachable",
      /What runs on the host is not touched/,
    ],
  ])("%s", async (words, code, next) => {
    await ssh.refuse(words);
    await expect(reach()).rejects.toMatchObject({
      code,
      property: "compute.host",
      next: expect.stringMatching(next) as string,
    });
  });
});

describe("files to and from it", () => {
  it("go on where a lost connection left them, and are checked", async () => {
    const host = await reach();
    const file = await fileOf("weights.bin", 6_000_000);
    await ssh.cutAfter(2_500_000);
    const there = `${host.dataDirectory}/models/a`;
    await host.push({ here: file.folder, there, files: [file.digest] });
    expect(digest(await readFile(join(there, "weights.bin")))).toBe(file.digest.sha256);
    const calls = (await ssh.calls()).filter((call) => call.endsWith(" receive"));
    expect(calls).toHaveLength(2);
    expect(existsSync(join(there, "weights.bin.part"))).toBe(false);
    // What is there is not sent again.
    await host.push({ here: file.folder, there, files: [file.digest] });
    expect((await ssh.calls()).filter((call) => call.endsWith(" receive"))).toHaveLength(2);
  });

  it("are refused where they are not what was promised, and nothing wrong stays", async () => {
    const host = await reach();
    const file = await fileOf("weights.bin", 1000);
    const there = `${host.dataDirectory}/models/b`;
    const wrong = { ...file.digest, sha256: "0".repeat(64) };
    await expect(host.push({ here: file.folder, there, files: [wrong] })).rejects.toMatchObject({
      code: "transfer-damaged",
    });
    expect(existsSync(join(there, "weights.bin"))).toBe(false);
  });

  it("come back, the empty ones too, and a changed one again", async () => {
    const host = await reach();
    const file = await fileOf("adapter.bin", 300_000);
    const empty = { path: "empty", bytes: 0, sha256: digest(Buffer.alloc(0)) };
    await writeFile(join(file.folder, "empty"), "");
    const there = `${host.dataDirectory}/runs/r`;
    await host.push({ here: file.folder, there, files: [file.digest, empty] });
    const here = join(ssh.home, "../back");
    const freight = { here, there, files: [file.digest, empty] };
    await host.fetch(freight);
    await writeFile(join(here, "adapter.bin"), "changed");
    await host.fetch(freight);
    expect(digest(await readFile(join(here, "adapter.bin")))).toBe(file.digest.sha256);
    expect((await stat(join(here, "empty"))).size).toBe(0);
    await rm(join(there, "adapter.bin"));
    await rm(join(here, "adapter.bin"));
    await expect(host.fetch(freight)).rejects.toMatchObject({ code: "file-missing" });
  });

  it("are given up where no try moves a byte", async () => {
    const host = await reach();
    const file = await fileOf("weights.bin", 500_000);
    const there = `${host.dataDirectory}/models/c`;
    const freight = { here: file.folder, there, files: [file.digest] };
    await host.push(freight);
    await ssh.breakTransfers();
    const tries = async (word: string) => (await ssh.calls()).filter((call) => call.endsWith(` ${word}`)).length;
    const before = await tries("receive");
    const said = {
      code: "ssh-unreachable",
      message: expect.stringMatching(/ended early \(exit code 1\): Killed\.$/) as string,
    };
    await rm(join(there, "weights.bin"));
    const gone = [
      expect(host.push(freight)).rejects.toMatchObject(said),
      expect(host.fetch({ ...freight, here: join(ssh.home, "../back") })).rejects.toMatchObject(said),
    ];
    await Promise.all(gone);
    expect((await tries("receive")) - before).toBe(5);
    expect(await tries("send")).toBe(5);
  });

  it.each([
    ["is a folder", (path: string) => mkdir(path), "file-unreadable", /weights\.bin can't be read: EISDIR/],
    ["is shorter", (path: string) => writeFile(path, "short"), "file-changed", /has 5 bytes instead of 300000/],
  ])("are not asked for again where one %s now", async (_what, change, code, message) => {
    const host = await reach();
    const file = await fileOf("weights.bin", 300_000);
    const there = `${host.dataDirectory}/runs/r`;
    await host.push({ here: file.folder, there, files: [file.digest] });
    await rm(join(there, "weights.bin"));
    await change(join(there, "weights.bin"));
    const fetched = host.fetch({ here: join(ssh.home, "../back"), there, files: [file.digest] });
    await expect(fetched).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
    await rm(join(file.folder, "weights.bin"));
    await change(join(file.folder, "weights.bin"));
    const pushed = host.push({ here: file.folder, there: `${there}-2`, files: [file.digest] });
    await expect(pushed).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
  });

  it("never leave the data directory", async () => {
    const host = await reach();
    const file = await fileOf("weights.bin", 10);
    const push = host.push({ here: file.folder, there: `${host.dataDirectory}/../out`, files: [file.digest] });
    await expect(push).rejects.toMatchObject({ code: "path-outside" });
  });
});

describe("a tunnel", () => {
  it("that can't be opened is told", async () => {
    const host = await reach();
    await ssh.refuse("ssh: connect to host gpu port 22: Connection refused");
    await expect(host.tunnel(8400)).rejects.toMatchObject({ code: "ssh-unreachable" });
  });
});
