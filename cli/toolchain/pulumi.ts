import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { makeFolder } from "../../agent/files.ts";
import { homeUnwritable } from "../../agent/home.ts";
import { withLock } from "../../agent/lock.ts";
import { allowedEnvironment } from "../../recipe/child-environment.ts";
import { asFault, Fault } from "../../recipe/fault.ts";
import { layoutOf } from "../../recipe/layout.ts";
import { mirrorName } from "../../recipe/mirrors.ts";
import { buildRoute } from "./build.ts";
import { findExecutable, isExecutable } from "./executables.ts";
import { officialRoute } from "./official.ts";
import { terminalReport } from "./report.ts";
import { type InstallRoute, type PulumiTool, type RouteContext, throwIfCancelled } from "./route.ts";
import { isAtLeast, pulumiMinimum, pulumiVersion } from "./versions.ts";

const languageHost = "pulumi-language-nodejs";

/**
 * A Pulumi CLI with its Node language host: the one on PATH if it is recent enough, else the one in the data directory
 * `home`, else installed there by the first route that works (Pulumi's own installer, a build of tools/ with Go).
 * An installation is complete or not there; two at once: the second waits. Default context: this process's
 * environment, a report on stderr, no cancellation. Throws Fault `pulumi-missing` with every route's reason.
 */
export async function ensurePulumi(
  home: string,
  options: Partial<Omit<RouteContext, "home">> & { readonly routes?: readonly InstallRoute[] } = {},
): Promise<PulumiTool> {
  const context: RouteContext = {
    home,
    environment: options.environment ?? process.env,
    report: options.report ?? terminalReport(),
    signal: options.signal ?? new AbortController().signal,
  };
  // An unknown name of mirrors is told by itself, not as the reason of every route.
  mirrorName(context.environment);
  const onPath = await pulumiOnPath(context.environment);
  if ("tool" in onPath) return onPath.tool;
  const ready = await installedPulumi(home);
  if (ready !== undefined) return ready;
  context.report.step(`The Pulumi CLI on PATH: ${onPath.reason}`);
  await prepareTools(home);
  const routes = options.routes ?? [officialRoute, buildRoute];
  try {
    return await withLock(
      `${layoutOf(home).locks}/pulumi.lock`,
      async () => (await installedPulumi(home)) ?? (await install(routes, context, onPath.reason)),
      {
        signal: context.signal,
        onWait: () =>
          context.report.step(
            "Waiting for another tuneup that installs the Pulumi CLI into the same data directory ...",
          ),
      },
    );
  } catch (thrown) {
    throwIfCancelled(context.signal);
    throw thrown;
  }
}

/** The Pulumi CLI on PATH, or why it does not do. */
export async function pulumiOnPath(
  environment: RouteContext["environment"],
): Promise<{ readonly tool: PulumiTool } | { readonly reason: string }> {
  const command = await findExecutable("pulumi", environment["PATH"]);
  if (command === undefined) return { reason: "not found." };
  const directory = dirname(command);
  const language = await findExecutable(languageHost, `${directory}:${environment["PATH"] ?? ""}`);
  if (language === undefined) return { reason: `${command} has no ${languageHost} beside it or on PATH.` };
  const version = await versionOf(command, environment);
  if (version === undefined) return { reason: `${command} does not answer to \`pulumi version\`.` };
  if (!isAtLeast(version, pulumiMinimum))
    return { reason: `${command} is ${version}, and >= ${pulumiMinimum} is needed.` };
  return { tool: { command, directory, languageDirectory: dirname(language), version, source: "path" } };
}

/** The Pulumi CLI in the data directory; undefined where it was not installed there (or is of another release of ours). */
export async function installedPulumi(home: string): Promise<PulumiTool | undefined> {
  const folder = folderOf(home);
  const directory = join(folder, "bin");
  const command = join(directory, "pulumi");
  if (!(await isExecutable(command)) || !(await isExecutable(join(directory, languageHost)))) return undefined;
  const source = await readFile(join(folder, "source"), "utf8").catch(() => "");
  return {
    command,
    directory,
    languageDirectory: directory,
    version: pulumiVersion,
    source: source.trim() === "official" ? "official" : "built",
  };
}

function folderOf(home: string): string {
  return `${layoutOf(home).tools}/pulumi-${pulumiVersion}`;
}

/** Tries the routes in order; each fills a temporary folder, which is renamed when what it holds answers. Call under the lock. */
async function install(routes: readonly InstallRoute[], context: RouteContext, onPath: string): Promise<PulumiTool> {
  const folder = folderOf(context.home);
  const reasons = [`On PATH: ${onPath}`];
  await removeLeftovers(folder);
  for (const route of routes) {
    const temporary = `${folder}.${randomBytes(4).toString("hex")}.partial`;
    try {
      await mkdir(temporary, { mode: 0o700 });
      await route.install(temporary, context);
      await verify(temporary, context);
      await writeFile(join(temporary, "source"), `${route.source}\n`);
      await rm(folder, { recursive: true, force: true });
      await rename(temporary, folder);
      context.report.step(`The Pulumi CLI ${pulumiVersion} is in ${folder}.`);
      return (await installedPulumi(context.home)) as PulumiTool;
    } catch (thrown) {
      throwIfCancelled(context.signal);
      const reason = asFault(thrown).sentence;
      reasons.push(`${route.name}: ${reason}`);
      context.report.step(`${route.name} is no way here: ${reason}`);
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  }
  throw new Fault({
    code: "pulumi-missing",
    message: `There is no Pulumi CLI, and none could be installed. ${reasons.join(" ")}`,
    next:
      `Install by hand either the Pulumi CLI >= ${pulumiMinimum} (https://www.pulumi.com/docs/iac/download-install/) ` +
      "or Go >= 1.25 (https://go.dev/dl/), put it on PATH, then run the same command again.",
    blame: "infrastructure",
  });
}

/** What a killed installation left. Safe under the lock: nobody else installs. */
async function removeLeftovers(folder: string): Promise<void> {
  const parent = dirname(folder);
  const left = (await readdir(parent)).filter((name) => /^pulumi-.*\.partial$/.test(name));
  await Promise.all(left.map((name) => rm(join(parent, name), { recursive: true, force: true })));
}

async function verify(folder: string, context: RouteContext): Promise<void> {
  const command = join(folder, "bin", "pulumi");
  const version = await versionOf(command, context.environment);
  const language = await isExecutable(join(folder, "bin", languageHost));
  if (version === pulumiVersion && language) return;
  throw new Fault({
    code: "pulumi-unusable",
    message: language
      ? `what it left answers ${version ?? "nothing"} to \`pulumi version\`, expected ${pulumiVersion}.`
      : `it left no ${languageHost}.`,
    blame: "infrastructure",
  });
}

/** What `command version` says, without the v; undefined where it says no version within 20 s. */
async function versionOf(command: string, environment: RouteContext["environment"]): Promise<string | undefined> {
  const { stdout } = await execa(command, ["version"], {
    env: allowedEnvironment(environment, { PULUMI_SKIP_UPDATE_CHECK: "true" }),
    extendEnv: false,
    reject: false,
    timeout: 20_000,
    stdin: "ignore",
  });
  return /^v?(\d+\.\d+\.\d+\S*)/m.exec(stdout)?.[1];
}

async function prepareTools(home: string): Promise<void> {
  try {
    await makeFolder(layoutOf(home).tools);
  } catch (thrown) {
    throw homeUnwritable(home, thrown);
  }
}
