import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { join } from "node:path";

/** The first executable file called `name` in the folders of `path` (a PATH); undefined if there is none. */
export async function findExecutable(name: string, path: string | undefined): Promise<string | undefined> {
  for (const folder of (path ?? "").split(":")) {
    if (!folder.startsWith("/")) continue;
    const file = join(folder, name);
    if (await isExecutable(file)) return file;
  }
  return undefined;
}

/** Is there a file at `path` that we may execute? */
export async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
