import { stat } from "node:fs/promises";
import { dirname, join, relative } from "node:path";

/** A folder of this machine and where it is to be seen inside, read-only. */
export interface Shown {
  readonly from: string;
  readonly at: string;
}

const quoted = (path: string): string => `'${path.replaceAll("'", `'\\''`)}'`;

/**
 * Bash that makes a mount namespace look like a host of its own: its own users, /tmp, /run and logs, and what is `shown`. What is
 * `reachable` may be read by everybody, though only root may enter a folder above it.
 */
export async function mountScript(
  folder: string,
  { shown, reachable }: { readonly shown: readonly Shown[]; readonly reachable: readonly string[] },
): Promise<string> {
  const ways = await Promise.all(reachable.map((path, index) => openWay(path, join(folder, `way-${index}`))));
  return [
    `chmod 1777 ${quoted(join(folder, "tmp"))}`,
    ...["passwd", "group"].map((file) => `mount --bind ${quoted(join(folder, file))} /etc/${file}`),
    ...shown.map(({ from, at }) => `mount --bind ${quoted(from)} ${quoted(at)}`),
    ...shown.map(({ at }) => `mount -o remount,bind,ro ${quoted(at)}`),
    // Last: what is shown may come from the folders that these lay over.
    ...ways,
    `mount --bind ${quoted(join(folder, "tmp"))} /tmp`,
    "mount -t tmpfs -o mode=755 tuneup-rig /run",
    "mkdir -p /run/sshd",
    "mount -t tmpfs -o mode=755 tuneup-rig /var/log",
    "mount -t tmpfs -o mode=1777 tuneup-rig /dev/shm",
  ].join("\n");
}

/** Bash lines that lay an empty folder with only `path` in it over the topmost closed one above it; none if there is none. */
async function openWay(path: string, through: string): Promise<string> {
  const above: string[] = [];
  for (let at = dirname(path); at !== "/"; at = dirname(at)) above.unshift(at);
  for (const ancestor of above) {
    const { mode } = await stat(ancestor);
    if ((mode & 0o001) !== 0) continue;
    const inner = join(through, relative(ancestor, path));
    return [
      `mkdir -p ${quoted(through)}`,
      `mount -t tmpfs -o mode=755 tuneup-rig ${quoted(through)}`,
      `mkdir -p ${quoted(inner)}`,
      `mount --bind ${quoted(path)} ${quoted(inner)}`,
      `mount -o remount,bind,ro ${quoted(inner)}`,
      `mount --rbind ${quoted(through)} ${quoted(ancestor)}`,
    ].join("\n");
  }
  return "";
}
