import { mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { Fault } from "../../recipe/fault.ts";
import { layoutOf } from "../../recipe/layout.ts";
import type { Handler } from "../context.ts";
import { writeJson } from "../files.ts";
import { completeFile } from "../folders.ts";
import { withLock } from "../lock.ts";
import { bytesOf, digestWeights, lockOf } from "./record.ts";

/** Makes weights that were pushed to `path` complete: every file is the record's. `.complete` is written last. */
export const weightsAdopt: Handler<"weights-adopt"> = async ({ dataDirectory, path, record }, context) => {
  const layout = layoutOf(dataDirectory);
  if (path !== `${layout.models}/${basename(path)}` || basename(path).startsWith(".")) {
    throw new Fault({ code: "path-outside", message: `${path} is not in ${layout.models}.`, blame: "bug" });
  }
  await mkdir(path, { recursive: true, mode: 0o700 });
  const adopt = async (): Promise<void> => {
    context.progress({ message: `checking ${record.id} as it was pushed` });
    const found = await digestWeights(path, path);
    const wrong = record.files.find(
      ({ path: name, sha256 }) => !found.some((f) => f.path === name && f.sha256 === sha256),
    );
    if (wrong !== undefined) {
      throw new Fault({
        code: "weights-hash",
        property: "model.id",
        message: `${join(path, wrong.path)} is missing, or is not what was sent.`,
        next: "Run it again: only what is wrong is sent.",
        blame: "infrastructure",
      });
    }
    await writeJson(join(path, completeFile), record);
  };
  await withLock(lockOf(layout, path), adopt, { signal: context.signal });
  return { bytes: bytesOf(record.files) };
};
