import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";
import { detached } from "../../agent/detach.ts";

/** No real systemd runs where these tests do: its two programs are stand-ins that write down how they are called. */
let folder: string;
let environment: Record<string, string>;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tuneup-detach-"));
  environment = { PATH: `${folder}:${process.env["PATH"] ?? ""}`, SSH_CONNECTION: "192.0.2.1 1 192.0.2.2 22" };
});
afterEach(() => rmSync(folder, { recursive: true }));

function tool(name: string, script: string): void {
  const text = `#!/bin/sh\necho "${name} $*" >> ${folder}/calls\necho "$XDG_RUNTIME_DIR" > ${folder}/runtime\n${script}\n`;
  writeFileSync(join(folder, name), text);
  chmodSync(join(folder, name), 0o700);
}

/** `systemd-run --user --scope ... -- COMMAND`: becomes the command, as the real one does. */
const runs = 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"';
/** Lingering is on if the file is there; `enable-linger` makes it. */
const lingers = (folder: string) =>
  `case "$1" in enable-linger) touch ${folder}/linger;; *) [ -e ${folder}/linger ] && echo yes || echo no;; esac`;
const calls = () => readFileSync(join(folder, "calls"), "utf8").trim().split("\n");
const scoped = ["--user", "--scope", "--collect", "--quiet", "--", "/bin/echo", "hello"];

test("where a manager lingers the program starts as a scope of its own, as itself", async () => {
  tool("systemd-run", runs);
  tool("loginctl", lingers(folder));
  writeFileSync(join(folder, "linger"), "");
  const start = detached("/bin/echo", ["hello"], environment);
  expect(start).toMatchObject({ file: "systemd-run", words: scoped });
  expect(calls().some((call) => call.includes("enable-linger"))).toBe(false);
  const { stdout } = await execa(start.file, start.words, { env: { ...environment, ...start.environment } });
  expect(stdout).toBe("hello");
  expect(readFileSync(join(folder, "runtime"), "utf8").trim()).toBe(`/run/user/${process.getuid?.()}`);
});

test("lingering is turned on where that is allowed", () => {
  tool("systemd-run", runs);
  tool("loginctl", lingers(folder));
  expect(detached("/bin/echo", ["hello"], environment).words).toEqual(scoped);
  expect(calls()).toContain("loginctl enable-linger");
});

test.each([
  ["no manager answers", "exit 1", lingers],
  ["lingering may not be turned on", runs, () => 'case "$1" in enable-linger) exit 1;; *) echo no;; esac'],
  ["lingering stays off", runs, () => "echo no"],
] as const)("a session of its own has to do where %s", (_why, run, login) => {
  tool("systemd-run", run);
  tool("loginctl", login(folder));
  expect(detached("/bin/echo", ["hello"], environment)).toEqual({
    file: "/bin/echo",
    words: ["hello"],
    environment: {},
  });
});

test("who did not come over ssh is not asked about systemd", () => {
  tool("systemd-run", runs);
  tool("loginctl", lingers(folder));
  writeFileSync(join(folder, "linger"), "");
  const { PATH = "" } = environment;
  expect(detached("/bin/echo", ["hello"], { PATH })).toEqual({ file: "/bin/echo", words: ["hello"], environment: {} });
  expect(existsSync(join(folder, "calls"))).toBe(false);
});
