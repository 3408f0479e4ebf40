import { execFile } from "node:child_process";
import { chmod, link, lstat, mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { Fault } from "../recipe/fault.ts";
import { sshMissing } from "./ssh-faults.ts";

const run = promisify(execFile);

/** What this machine keeps to reach the machines of one stack. */
export interface StackKey {
  /** Path of the private key. It never leaves this machine. */
  readonly identity: string;
  /** Its public half, a line. */
  readonly publicKey: string;
  /** File of the host keys that were seen. */
  readonly knownHosts: string;
  /** File of what the last way through SSM said. */
  readonly proxyLog: string;
}

/** Folder of what is kept for a stack on this machine. `home`: the data directory. */
export function stackFolder(home: string, stack: string): string {
  return `${home}/aws/${stack}`;
}

/**
 * The ed25519 key of a stack, made where there is none: it opens nothing by itself, since its public half is let in for a minute at a time and
 * written down nowhere. Two that make it at once have the same. Throws Fault `aws-key-folder`, `ssh-missing`.
 */
export async function stackKey(home: string, stack: string): Promise<StackKey> {
  const folder = stackFolder(home, stack);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  const identity = join(folder, "id_ed25519");
  if (!(await isThere(identity))) await make(folder, identity);
  const { stdout } = await sshKeygen(["-y", "-P", "", "-f", identity]);
  return {
    identity,
    publicKey: stdout.trim(),
    knownHosts: join(folder, "known_hosts"),
    proxyLog: join(folder, "session.log"),
  };
}

/** The file is whole when it has its name: it is written under another, and the first one who names it wins. */
async function make(folder: string, identity: string): Promise<void> {
  const work = await mkdtemp(join(folder, "new-"));
  try {
    await sshKeygen(["-q", "-t", "ed25519", "-N", "", "-C", "tuneup", "-f", join(work, "key")]);
    await link(join(work, "key"), identity).catch((thrown: unknown) => {
      if ((thrown as NodeJS.ErrnoException).code !== "EEXIST") throw thrown;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function sshKeygen(words: readonly string[]): Promise<{ readonly stdout: string }> {
  try {
    return await run("ssh-keygen", [...words]);
  } catch (thrown) {
    const { code, stderr = "" } = thrown as { code?: string | number; stderr?: string };
    if (code === "ENOENT") throw sshMissing();
    throw new Fault({
      code: "aws-key-folder",
      message: `The key for the machine can't be made or read: ${stderr.trim().split("\n").at(-1) ?? ""}`,
      next: "Remove the folder aws/ of tuneup's data directory: what is in it is made again.",
    });
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isFile();
  } catch {
    return false;
  }
}
