import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findProgram } from "../../scripts/programs.ts";
import { ensureSystemPackages, type Machine } from "../../scripts/system-packages.ts";

let folder: string;
let asked: string[];
let said: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tuneup-packages-"));
  [asked, said] = [[], []];
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function program(name: string, exitCode = 0): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\nexit ${exitCode}\n`);
  await chmod(path, 0o755);
  return path;
}

/** One whose apt has no package. */
function machine(canInstall = true): Machine {
  return {
    path: folder,
    canInstall,
    say: (line) => said.push(line),
    aptGet: (words) => {
      asked.push(words.join(" "));
      return false;
    },
  };
}

test("a program is found on PATH and in the system's own folders, and only where it can be run", async () => {
  const there = await program("there");
  expect(findProgram({ anyOf: ["missing", "there"] }, folder)).toBe(there);
  await writeFile(join(folder, "text"), "");
  expect(findProgram({ anyOf: ["text"] }, folder)).toBeUndefined();
  // Every Debian and Ubuntu has it, and a user's PATH does not lead to it.
  expect(findProgram({ anyOf: ["ldconfig"] }, folder)).toMatch(/\/sbin\/ldconfig$/);
});

test("a browser that only says that there is a snap is none, and the next name is taken", async () => {
  const wanted = { anyOf: ["chromium-browser", "google-chrome"], answers: ["--version"] };
  await program("chromium-browser", 1);
  expect(findProgram(wanted, folder)).toBeUndefined();
  expect(findProgram({ anyOf: wanted.anyOf }, folder)).toContain("chromium-browser");
  const chrome = await program("google-chrome");
  expect(findProgram(wanted, folder)).toBe(chrome);
});

test("a package that is not to be had takes no other down, and what is left is named", async () => {
  await program("chromium-browser", 1);
  expect(ensureSystemPackages(["browser"], machine())).toBe(false);
  expect(asked).toEqual(["update --quiet", "install --yes --no-install-recommends chromium"]);
  expect(said.at(-1)).toMatch(/brought no chromium or .*a real browser\. Ubuntu's package is a stub of a snap/);
});

test("each package is installed by itself", () => {
  // Nothing of it is on this PATH; what the system's folders have is not asked for.
  ensureSystemPackages(["faults", "browser"], machine());
  const installs = asked.slice(1);
  expect(installs).toContain("install --yes --no-install-recommends chromium");
  expect(installs).toContain("install --yes --no-install-recommends openssh-client");
  expect(installs.every((words) => words.split(" ").length === 4)).toBe(true);
});

test("who may not install is told the command", () => {
  expect(ensureSystemPackages(["browser"], machine(false))).toBe(false);
  expect(asked).toEqual([]);
  expect(said[0]).toContain("sudo apt-get install --yes --no-install-recommends chromium");
});

test("nothing is asked where all is there", async () => {
  await program("chromium");
  expect(ensureSystemPackages(["browser"], machine())).toBe(true);
  expect([...asked, ...said]).toEqual([]);
});
