import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import type { Context } from "../../agent/context.ts";
import * as identity from "../../agent/environment/identity.ts";
import { asset } from "../../agent/assets.ts";
import { readRecord, sizeOf } from "../../agent/files.ts";
import { buildOnce, completeFile } from "../../agent/folders.ts";
import { Fault } from "../../recipe/fault.ts";
import { layoutOf } from "../../recipe/layout.ts";
import { type FileDigest, fileDigest } from "../../recipe/lifecycle.ts";
import type { Variant } from "../../recipe/variants.ts";
import { chooseFiles } from "./choose.ts";
import { download } from "./download.ts";
import { type LockedPackage, lockEntries } from "./lock-entries.ts";
import { type PackageSources, packageSources, type TorchBuild } from "./sources.ts";
import type { WheelTarget } from "./target.ts";
import { driverTooOld, resolveTorch, wishedBuild } from "./torch-build.ts";

/** What an environment on a host is made of. */
export interface WheelQuestion {
  readonly target: WheelTarget;
  /** Driver of the GPU that it is for; none: the CPU. */
  readonly driver: string | undefined;
  readonly extras: readonly Variant[];
  /** What it is instead of the environment that trains. Default: that. */
  readonly engine?: identity.EngineSet | undefined;
  /** Data directory of this machine: what is fetched is kept there. */
  readonly home: string;
}

/** Packages on this machine, ready to be sent. */
export interface Wheels {
  readonly folder: string;
  readonly files: readonly FileDigest[];
}

const wheelsRecord = z.object({ files: z.array(fileDigest).min(1) });

/**
 * Fetches the files of the locked set for a host to this machine, once a lock, Python and platform: its wheels, what there is as source only
 * (uv builds it there, with the locked setuptools), and uv itself. Goes on where an earlier try ended. Hashes are the lock's. `sources`: default as
 * the variables say. Throws Fault `index-unreachable`, `wheel-missing`, `package-unreachable`, `package-hash`, `driver-too-old`, `disk-full`.
 */
export async function collectWheels(
  question: WheelQuestion,
  context: Context,
  sources: PackageSources = packageSources(),
): Promise<Wheels> {
  const { driver } = question;
  // An engine's lock has its torch from PyPI.
  const wish = question.engine === undefined ? wishedBuild(driver) : "pypi";
  try {
    return await collect(question, wish, context, sources);
  } catch (thrown) {
    if (!(thrown instanceof Fault) || thrown.code !== "torch-unresolved") throw thrown;
    if (driver !== undefined) throw driverTooOld(driver, thrown.message);
    context.log("info", `${thrown.message} PyPI's is taken, with its CUDA libraries.`);
    return collect(question, "pypi", context, sources);
  }
}

async function collect(
  question: WheelQuestion,
  build: TorchBuild,
  context: Context,
  sources: PackageSources,
): Promise<Wheels> {
  const { target, extras, engine, home } = question;
  const { minor, machine, glibc } = target;
  const whole = engine === undefined ? identity.environmentLock(extras) : identity.engineDigest(engine.lock);
  const lock = whole.slice(0, 12);
  const path = `${home}/cache/wheels/${lock}-cp3${minor}-manylinux_2_${glibc}_${machine}-${build}`;
  const { record } = await buildOnce(
    {
      path,
      lock: `${layoutOf(home).locks}/wheels-${basename(path)}`,
      what: "the packages for the host",
      read: () => readWhole(path),
      build: async (folder) => ({ files: await fill(folder, { ...question, build, sources }, context) }),
      partial: `${path}.partial`,
    },
    context,
  );
  return { folder: path, files: record.files };
}

/** The record, where every file still has its size. */
async function readWhole(path: string) {
  const record = await readRecord(join(path, completeFile), wheelsRecord);
  const sizes = await Promise.all((record?.files ?? []).map((file) => sizeOf(join(path, file.path))));
  return record?.files.every(({ bytes }, index) => bytes === sizes[index]) === true ? record : undefined;
}

type Plan = WheelQuestion & { readonly build: TorchBuild; readonly sources: PackageSources };

async function fill(folder: string, plan: Plan, context: Context): Promise<FileDigest[]> {
  const { build, target, sources, extras, engine, home } = plan;
  const locks = engine === undefined ? [identity.baseLock(), ...extras.map(identity.variantLock)] : [engine.lock];
  const locked = [...locks, asset("agent/environment/uv.lock")].flatMap(lockEntries);
  if (build === "pypi") {
    const torch = engine === undefined ? lockEntries(identity.torchLock()) : [];
    const files = await chooseFiles([...locked, ...torch], { build, target, sources }, context);
    return (await download(files, folder, sources, context)).map(({ digest }) => digest);
  }
  const pins = await resolveTorch({ build, target, sources, home }, folder, context);
  const files = await chooseFiles(locked, { build: "pypi", target, sources }, context);
  const torch = await chooseFiles(pins, { build, target, sources }, context);
  const got = await download([...files, ...torch], folder, sources, context);
  const own = got.slice(files.length).map(({ entry, digest }) => ({ ...entry, hashes: new Set([digest.sha256]) }));
  return [...got.map(({ digest }) => digest), await writeLock(folder, own)];
}

/** The pins of a build that torch.lock does not have, with the hashes of what was fetched: the host installs by these. */
async function writeLock(folder: string, entries: readonly LockedPackage[]): Promise<FileDigest> {
  const lines = entries.map(
    ({ name, version, hashes }) =>
      `${name}==${version}${[...hashes].map((hash) => ` --hash=sha256:${hash}`).join("")}\n`,
  );
  await writeFile(join(folder, "torch.lock"), lines.join(""), { mode: 0o600 });
  const bytes = await readFile(join(folder, "torch.lock"));
  return { path: "torch.lock", bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
}
