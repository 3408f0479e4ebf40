import { existsSync } from "node:fs";
import { chmod, copyFile, readFile, rename, rm } from "node:fs/promises";
import { createHash, randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { writingIn } from "../agent/home.ts";
import { Fault } from "../recipe/fault.ts";
import { layoutOf } from "../recipe/layout.ts";

/** The agent as one file, built by `npm ci` (script `prepare`). */
export function bundlePath(): string {
  const path = fileURLToPath(new URL("../dist/agent.mjs", import.meta.url));
  if (existsSync(path)) return path;
  throw new Fault({
    code: "agent-not-built",
    message: "The agent has not been built.",
    next: "Run `npm run build` in the project folder.",
  });
}

const installed = new Map<string, Promise<string>>();

/**
 * An immutable copy of the agent in the data directory, named by its content: what runs detached there is not touched
 * by a later release or a removed checkout. Throws Fault `home-unwritable`.
 */
export function installAgent(dataDirectory: string): Promise<string> {
  const known = installed.get(dataDirectory) ?? copyAgent(dataDirectory);
  installed.set(dataDirectory, known);
  known.catch(() => installed.delete(dataDirectory));
  return known;
}

async function copyAgent(dataDirectory: string): Promise<string> {
  const source = bundlePath();
  const digest = createHash("sha256")
    .update(await readFile(source))
    .digest("hex");
  const folder = `${layoutOf(dataDirectory).agent}/${digest.slice(0, 12)}`;
  const target = `${folder}/agent.mjs`;
  if (existsSync(target)) return target;
  await writingIn(dataDirectory, folder, () => copyWhole(source, target));
  return target;
}

async function copyWhole(source: string, target: string): Promise<void> {
  const temporary = `${target}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    await copyFile(source, temporary);
    await chmod(temporary, 0o600);
    await rename(temporary, target);
  } finally {
    await rm(temporary, { force: true });
  }
}
