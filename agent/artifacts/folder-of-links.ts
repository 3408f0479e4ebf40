import { link, mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { filesBelow } from "../files.ts";

/**
 * A folder at `aside` with the files of `folder`, without a copy: they stay there when the trainer drops its own. Where the file system has no
 * hard links it is `folder` itself.
 */
export async function folderOfLinks(folder: string, aside: string): Promise<string> {
  await rm(aside, { recursive: true, force: true });
  for (const path of await filesBelow(folder)) {
    await mkdir(dirname(join(aside, path)), { recursive: true, mode: 0o700 });
    try {
      await link(join(folder, path), join(aside, path));
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code === "ENOENT") throw thrown;
      return folder;
    }
  }
  return aside;
}
