import { readFile } from "node:fs/promises";
import { isMissing, writeAtomically } from "../agent/files.ts";
import { type Pins, readPins } from "../recipe/pins.ts";

/** The last write of each file: a stack's resources are made at the same time, and each changes a part of the file. */
const writes = new Map<string, Promise<unknown>>();

/** The pins in the lock file at `path`; none where there is no file, or no path is known. Throws Fault `pins-invalid`. */
export async function loadPins(path: string | undefined): Promise<Pins> {
  return path === undefined ? readPins(undefined, "") : readPins(await textOf(path), path);
}

/** Changes the lock file at `path` atomically, and only where `change` changes something. Throws Fault `pins-invalid`. */
export async function changePins(path: string | undefined, change: (before: Pins) => Pins): Promise<void> {
  if (path === undefined) return;
  const before = writes.get(path) ?? Promise.resolve();
  const write = before.then(
    () => rewrite(path, change),
    () => rewrite(path, change),
  );
  writes.set(path, write);
  await write;
}

async function rewrite(path: string, change: (before: Pins) => Pins): Promise<void> {
  const old = await textOf(path);
  const pins = change(readPins(old, path));
  if (old === undefined && pins.model === undefined && Object.keys(pins.datasets).length === 0) return;
  const text = `${JSON.stringify(pins, null, 2)}\n`;
  // Shared with colleagues by version control: readable like the stack file beside it.
  if (text !== old) await writeAtomically(path, text, 0o644);
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (thrown) {
    if (isMissing(thrown)) return undefined;
    throw thrown;
  }
}
