import { Fault } from "../recipe/fault.ts";
import { makeFolder } from "./files.ts";

/** What the kernel says where a folder or file can't be made, whatever we do. */
const refusals: ReadonlySet<string | undefined> = new Set([
  "EACCES",
  "EDQUOT",
  "EEXIST",
  "ENOENT",
  "ENOSPC",
  "ENOTDIR",
  "EPERM",
  "EROFS",
]);

/**
 * Does `work`, which writes in the data directory `home`, after `folder` is made there with its missing parents (0700).
 * Throws Fault `home-unwritable` where the file system refuses; what else fails is thrown as it is.
 */
export async function writingIn<T>(home: string, folder: string, work: () => Promise<T>): Promise<T> {
  try {
    await makeFolder(folder);
    return await work();
  } catch (thrown) {
    throw refusals.has((thrown as NodeJS.ErrnoException).code) ? homeUnwritable(home, thrown) : thrown;
  }
}

/** The data directory `home` can't be used, because of `cause`. */
export function homeUnwritable(home: string, cause: unknown): Fault {
  const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
  return new Fault(
    {
      code: "home-unwritable",
      message: `The data directory ${home} can't be used (${code}).`,
      next: "Make it readable and writable for you, or choose another folder: TUNEUP_HOME, or storage.dataDirectory of the experiment.",
    },
    { cause },
  );
}
