import { readFileSync, readdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Fault } from "../../recipe/fault.ts";
import { lastWords, runAttached } from "../attached.ts";
import type { Context } from "../context.ts";
import { diskFullFault, formatBytes, freeBytes, saysDiskFull } from "../folders.ts";
import type { Variant } from "../../recipe/variants.ts";
import { baseLock, type EngineSet, torchLock, variantLock } from "./identity.ts";
import { offlineVariables, offlineWords } from "./pushed.ts";
import type { Python } from "./python.ts";
import { pinsOf, type TorchRoute } from "./route.ts";
import { uvVariables } from "./uv-variables.ts";

/** The self-test that follows: 17 s on 2 cores, of which the imports are nearly all. */
export const selfTestSeconds = 17;

/** Part of the whole work that installing is (measured: 28 to 40 s from an empty cache, 8 s from a full one). */
export const installShare = 0.6;

/** Where and how packages are installed. */
export interface Installation {
  readonly folder: string;
  readonly python: Python;
  readonly uv: string;
  readonly route: TorchRoute;
  /** What it has beyond the base. */
  readonly extras: readonly Variant[];
  /** What it is instead of the environment that trains: all of it is in one lock. */
  readonly engine?: EngineSet | undefined;
  /** Folder of pushed packages, all that is installed from; undefined: the index. */
  readonly pushed?: string | undefined;
}

/** Makes the virtual environment in `folder` (it may be renamed afterwards). */
export async function createVenv(
  { folder, python, uv, pushed }: Omit<Installation, "route" | "extras">,
  context: Context,
): Promise<void> {
  const { exitCode, stderr } = await runAttached(
    uv,
    ["venv", "--quiet", "--relocatable", "--no-project", "--allow-existing", "--python", python.path, folder],
    { python: python.path, signal: context.signal, environment: variables(pushed) },
  );
  if (exitCode !== 0) throw await installFault(stderr, folder);
}

/** Installs the locked packages, torch by its route, with progress. Throws Fault `disk-full`, `install-failed`. */
export async function installPackages(installation: Installation, context: Context): Promise<void> {
  const { folder, route, extras, engine, pushed } = installation;
  if (engine !== undefined) {
    const lock = join(folder, `${engine.name}.lock`);
    await writeFile(lock, engine.lock);
    const offline = pushed === undefined ? [] : offlineWords(pushed);
    // All of it is there as wheels, so that nothing is built.
    await install([...offline, "--no-build", "--no-deps", "--require-hashes", "-r", lock], installation, context);
    return;
  }
  await writeFile(join(folder, "base.lock"), baseLock());
  await writeFile(join(folder, "torch.lock"), torchLock());
  for (const name of extras) await writeFile(join(folder, `${name}.lock`), variantLock(name));
  const locks = ["base", ...extras].flatMap((name) => ["-r", join(folder, `${name}.lock`)]);
  // Some packages (jieba, deepspeed, ...) are there as source only: what builds them is pinned too.
  const builders = ["--build-constraints", join(folder, "base.lock")];
  const locked = ["--no-deps", "--require-hashes", ...builders, ...locks];
  if (pushed !== undefined) {
    // Another build of torch than torch.lock's comes with a lock of its own, whose hashes are those of the files that were sent: the transfer's
    // sha256 vouches for it, as TLS does where the host fetches that build itself. All other files are held against our own locks once more.
    const torch = route.source === "index" ? join(pushed, "torch.lock") : join(folder, "torch.lock");
    await install([...offlineWords(pushed), ...locked, "-r", torch], installation, context);
    return;
  }
  if (route.source === "pypi") {
    await install([...locked, "-r", join(folder, "torch.lock")], installation, context);
    return;
  }
  // torch's own index says which CUDA libraries belong to the build, so they are resolved, within the pins of the rest.
  const torch = [...route.words, "--constraints", join(folder, "base.lock"), ...pinsOf(route)];
  await install(torch, installation, context);
  await install(locked, installation, context);
}

async function install(words: readonly string[], installation: Installation, context: Context): Promise<void> {
  const { folder, route } = installation;
  const python = join(folder, "bin", "python");
  const dry = await uvInstall(["--dry-run", ...words], installation, context);
  if (dry.exitCode !== 0) throw await installFault(dry.stderr, folder);
  const plan = readPlan(dry.stderr);
  await requireSpace(plan, installation, context);
  const { result, follow } = start(installation, python, words, context);
  const stop = reportInstall({ ...follow, plan, folder, bytes: route.bytes }, context);
  try {
    const { exitCode, stderr } = await result;
    if (exitCode !== 0) throw await installFault(stderr, folder, route.bytes);
  } finally {
    stop();
  }
}

function uvInstall(words: readonly string[], { uv, folder, pushed }: Installation, context: Context) {
  const python = join(folder, "bin", "python");
  return runAttached(uv, ["pip", "install", "--python", python, ...words], {
    python,
    signal: context.signal,
    environment: variables(pushed),
  });
}

function variables(pushed: string | undefined): Record<string, string> {
  return { ...uvVariables(), ...(pushed === undefined ? {} : offlineVariables(pushed)) };
}

function start({ uv, pushed }: Installation, python: string, words: readonly string[], context: Context) {
  const follow: { pid?: number } = {};
  const result = runAttached(uv, ["pip", "install", "--quiet", "--python", python, ...words], {
    python,
    signal: context.signal,
    environment: variables(pushed),
    onStart: (pid) => (follow.pid = pid),
  });
  return { result, follow };
}

/** What uv is about to do. */
export interface InstallPlan {
  readonly packages: number;
  /** Of these, so many are not in uv's cache. */
  readonly downloads: number;
}

/** Reads what `uv pip install --dry-run` said. */
export function readPlan(said: string): InstallPlan {
  const count = (pattern: RegExp) => Number(pattern.exec(said)?.[1] ?? 0);
  return { packages: count(/Would install (\d+) package/), downloads: count(/Would download (\d+) package/) };
}

/** With most packages to download, the disk must hold them all; from a warm cache on the same disk they are hard links. */
async function requireSpace(
  plan: InstallPlan,
  { folder, route, uv, pushed }: Installation,
  context: Context,
): Promise<void> {
  if (plan.downloads <= plan.packages / 2) return;
  const { stdout } = await runAttached(uv, ["cache", "dir"], {
    signal: context.signal,
    environment: variables(pushed),
  });
  for (const place of [dirname(folder), stdout.trim()].filter((path) => path !== "")) {
    if ((await freeBytes(place)) < route.bytes) throw await diskFullFault("the Python environment", place, route.bytes);
  }
}

async function installFault(stderr: string, folder: string, needed?: number): Promise<Fault> {
  if (saysDiskFull(stderr)) return diskFullFault("the Python environment", dirname(folder), needed);
  return new Fault({
    code: "install-failed",
    message: `The Python packages could not be installed: ${lastWords(stderr) || "uv gave no reason"}.`,
    next: "If PyPI can't be reached from here, set UV_DEFAULT_INDEX to a mirror; then run it again: what was downloaded is kept.",
    blame: "infrastructure",
  });
}

interface Followed {
  pid?: number;
  readonly plan: InstallPlan;
  readonly folder: string;
  readonly bytes: number;
}

/** Tells progress every second until the returned function is called: bytes unpacked so far, then packages linked. */
function reportInstall(followed: Followed, context: Context): () => void {
  const started = Date.now();
  const before = installedPackages(followed.folder);
  const total = followed.bytes * (followed.plan.downloads / Math.max(1, followed.plan.packages));
  const timer = setInterval(() => {
    const seconds = (Date.now() - started) / 1000;
    const linked = installedPackages(followed.folder) - before;
    const written = bytesWritten(followed.pid);
    const unpacking = linked === 0 && followed.plan.downloads > 0;
    // Unpacking is four fifths of the time from a cold cache (measured: 40 of 50 s).
    const share = followed.plan.downloads > 0 ? 0.8 : 0;
    const fraction = unpacking
      ? share * Math.min(0.99, written / total)
      : share + (1 - share) * Math.min(1, linked / Math.max(1, followed.plan.packages));
    const what = unpacking
      ? `downloading and unpacking ${followed.plan.downloads} packages: ${formatBytes(written)} of ${formatBytes(total)}`
      : `installing: ${linked} of ${followed.plan.packages} packages`;
    const left = fraction > 0.05 ? { secondsLeft: (seconds * (1 - fraction)) / fraction + selfTestSeconds } : {};
    context.progress({ message: `${what}, ${Math.round(seconds)} s`, fraction: installShare * fraction, ...left });
  }, 1000);
  return () => clearInterval(timer);
}

function installedPackages(folder: string): number {
  try {
    const [version = ""] = readdirSync(join(folder, "lib")).filter((name) => name.startsWith("python"));
    return readdirSync(join(folder, "lib", version, "site-packages")).filter((name) => name.endsWith(".dist-info"))
      .length;
  } catch {
    return 0;
  }
}

/** What the process has written so far, by the kernel's count; 0 where there is no /proc. */
function bytesWritten(pid: number | undefined): number {
  try {
    return Number(/^wchar: (\d+)/m.exec(readFileSync(`/proc/${pid ?? 0}/io`, "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
