import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, relative, resolve } from "node:path";
import { Fault } from "../recipe/fault.ts";
import type { ImportWorld } from "../recipe/import/world.ts";
import { projectFolder } from "./project.ts";

/** More than any hand-written file has: a dataset that was named by mistake is not read into memory. */
const largest = 4 * 1024 ** 2;

/** The files with their text. Throws Fault for the first that can't be read. */
export function readFiles(paths: readonly string[]): { readonly path: string; readonly text: string }[] {
  return paths.map((path) => {
    try {
      const bytes = readFileSync(path);
      if (bytes.length > largest)
        throw new Error(`it has ${bytes.length} bytes, and a training file at most ${largest}`);
      return { path, text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
    } catch (thrown) {
      throw new Fault({
        code: "import-unreadable",
        message: `${path} can't be read: ${reasonOf(thrown)}.`,
        next: "Give the path of a LLaMA-Factory YAML or JSON file.",
      });
    }
  });
}

function reasonOf(thrown: unknown): string {
  const { code, message } = thrown as NodeJS.ErrnoException;
  if (code === "ENOENT") return "there is no such file";
  if (code === "EISDIR") return "it is a folder";
  return code === "ERR_ENCODING_INVALID_ENCODED_DATA" ? "it is not UTF-8 text" : message;
}

/** This machine, as import sees it. Paths are taken from the folder that the user is in. */
export const importWorld: ImportWorld = {
  exists: (path) => existsSync(expanded(path)),
  read: (path) => {
    try {
      return readFileSync(expanded(path), "utf8");
    } catch {
      return undefined;
    }
  },
  place: (path) => {
    const absolute = expanded(path);
    const inside = relative(projectFolder, absolute);
    return inside === "" || inside.startsWith("..") || isAbsolute(inside) ? absolute : inside;
  },
};

function expanded(path: string): string {
  return resolve(path.replace(/^~(?=\/|$)/, homedir()));
}
