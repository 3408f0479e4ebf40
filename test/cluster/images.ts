import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { z } from "zod";
import { fillRoot, type Image, writeImage } from "./image.ts";
import { systemRelease } from "./packages.ts";
import { kept } from "./programs.ts";

/** Names of the images that a cluster can have. */
export const imageNames = { busybox: "tuneup-test/busybox:1", python: "tuneup-test/python:1" } as const;

/** The archive of an image with busybox alone, whose program sleeps: Pods' own first process, and small helpers. */
export async function busyboxImage(packages: string): Promise<string> {
  const folder = await kept("busybox", [packages, ...(await ownSources())], (target) =>
    makeImage(
      join(target, "image.tar"),
      { name: imageNames.busybox, entrypoint: ["/bin/busybox", "sleep", "2147483647"] },
      async (root) => {
        await fillRoot(root, { "/bin/busybox": `${packages}/bin/busybox` });
        for (const name of ["sh", "sleep", "wget", "nc", "cat", "ls", "id", "httpd", "nslookup", "touch", "echo"])
          await symlink("busybox", join(root, "bin", name));
        await writeUsers(root);
      },
    ),
  );
  return join(folder, "image.tar");
}

/** How an image is made decides what it is. */
const ownSources = () =>
  Promise.all(["image.ts", "images.ts"].map((name) => readFile(new URL(name, import.meta.url), "utf8")));

/** What the image takes of this machine. */
const certificates = ["/etc/ssl/certs/ca-certificates.crt"];
const programs =
  "bash tar gzip env cat cp mv rm ls ln id mkdir rmdir chmod touch sleep sha256sum uname getconf date df head tail tr cut sed grep dirname basename readlink timeout".split(
    " ",
  );

/**
 * The archive of an image with this machine's own `python3`, at its own place, a shell, coreutils, certificates and the libraries that wheels for
 * machine learning expect. Its user is 1000. What a virtual environment made with that `python3` has, runs in it.
 * `more`: further files or folders, each at a path from a path of this machine, e.g. `{ "/usr/local/bin/node": process.execPath }`.
 */
export async function pythonImage(more: Readonly<Record<string, string>> = {}): Promise<string> {
  const python = await describePython();
  const folder = await kept(
    "python",
    [JSON.stringify([python, more]), await systemRelease(), ...(await ownSources())],
    (target) =>
      makeImage(join(target, "image.tar"), { name: imageNames.python, user: "1000", entrypoint: ["python3"] }, (root) =>
        fillPython(root, python, more),
      ),
  );
  return join(folder, "image.tar");
}

const pythonSchema = z.object({
  executable: z.string(),
  /** Folders of the standard library. */
  libraries: z.array(z.string()),
  version: z.string(),
});
type Python = z.infer<typeof pythonSchema>;

/** What the python3 of PATH is, behind every shim and virtual environment. */
async function describePython(): Promise<Python> {
  const script = `import json, os, sys, sysconfig
base = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix, "installed_base": sys.base_prefix, "installed_platbase": sys.base_exec_prefix}
libraries = {os.path.realpath(sysconfig.get_path(name, vars=base)) for name in ("stdlib", "platstdlib")}
executable = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
print(json.dumps({"executable": executable, "libraries": sorted(libraries), "version": sys.version}))`;
  return pythonSchema.parse(JSON.parse((await execa("python3", ["-c", script])).stdout));
}

async function makeImage(
  archive: string,
  image: Omit<Image, "root">,
  fill: (root: string) => Promise<void>,
): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), "tuneup-root-"));
  try {
    await chmod(root, 0o755);
    await fill(root);
    await writeImage({ ...image, root }, archive);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

async function fillPython(root: string, python: Python, more: Readonly<Record<string, string>>): Promise<void> {
  for (const name of ["bin", "lib", "lib64", "sbin"]) {
    await mkdir(join(root, "usr", name), { recursive: true });
    await symlink(`usr/${name}`, join(root, name));
  }
  const found = await Promise.all(programs.map(async (name) => (await execa("which", [name])).stdout));
  const files = [...found, ...certificates, python.executable, ...python.libraries];
  await fillRoot(root, { ...Object.fromEntries(files.map((file) => [file, file])), ...more });
  // What belongs to this machine's user, and what nobody runs.
  for (const library of python.libraries)
    for (const name of await readdir(join(root, library)))
      if (/^(site-packages|dist-packages|test|idlelib|tkinter|config-.*)$/.test(name))
        await rm(join(root, library, name), { recursive: true });
  await symlink("bash", join(root, "usr/bin/sh"));
  await mkdir(join(root, "usr/local/bin"), { recursive: true });
  for (const folder of new Set([dirname(python.executable), "/usr/local/bin"]))
    for (const name of ["python", "python3"])
      if (join(folder, name) !== python.executable) await symlink(python.executable, join(root, folder, name));
  const libraries = await librariesOf(root);
  await fillRoot(root, Object.fromEntries(libraries.map((file) => [file, file])));
  await writeUsers(root);
}

/** Paths of the shared libraries that the programs below `root` need, of this machine, and those that wheels expect of any system. */
async function librariesOf(root: string): Promise<string[]> {
  const find = ["-type", "f", "(", "-perm", "-u+x", "-o", "-name", "*.so", "-o", "-name", "*.so.*", ")"];
  const binaries = (await execa("find", [root, ...find])).stdout.split("\n");
  const needed = (await execa("ldd", binaries, { reject: false, env: { LC_ALL: "C" } })).stdout;
  const cache = (await execa("/sbin/ldconfig", ["-p"])).stdout;
  const expected = [
    "libstdc++.so.6",
    "libgcc_s.so.1",
    "libgomp.so.1",
    "libdl.so.2",
    "librt.so.1",
    "libpthread.so.0",
    "libutil.so.1",
    "libm.so.6",
    "libz.so.1",
  ];
  const named = [...cache.matchAll(/^\s*(\S+) \(.*\) => (\S+)$/gm)].filter(([, name = ""]) => expected.includes(name));
  const paths = [
    ...[...needed.matchAll(/(\/\S+) \(0x/g)].map(([, library = ""]) => library),
    ...named.map(([, , library = ""]) => library),
  ];
  return [...new Set(paths)].filter((library) => !library.startsWith(root)).toSorted();
}

/** What every program expects of a system: users, a temporary folder, where names are looked up. */
async function writeUsers(root: string): Promise<void> {
  const etc: Record<string, string> = {
    passwd: "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n",
    group: "root:x:0:\nuser:x:1000:\n",
    "nsswitch.conf": "hosts: files dns\n",
  };
  await mkdir(join(root, "etc"), { recursive: true });
  for (const [name, text] of Object.entries(etc)) await writeFile(join(root, "etc", name), text);
  await mkdir(join(root, "tmp"), { recursive: true });
  // Whatever the umask and the modes of this machine's home are.
  await execa("chmod", ["-R", "a+rX", root]);
  await chmod(join(root, "tmp"), 0o1777);
}
