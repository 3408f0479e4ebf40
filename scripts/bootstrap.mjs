// Runs on Node >= 20 before anything is installed: no dependency, no TypeScript.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** A fault that is told in its sentence alone. */
class SetupFault extends Error {}

/** Is `version` ("24.1.0") at least major.minor? */
function atLeast(version, major, minor) {
  const [ours = 0, oursMinor = 0] = version.split(".").map(Number);
  return ours > major || (ours === major && oursMinor >= minor);
}

/** Node runs TypeScript as it is from 22.18 on, and not in 23.0 to 23.5. */
function runsTypeScript(version) {
  return atLeast(version, 22, 18) && (!version.startsWith("23.") || atLeast(version, 23, 6));
}

/** Parsed JSON, or undefined where the file is missing or torn. */
function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

/**
 * Does node_modules hold what package-lock.json says? npm records what it installed in node_modules/.package-lock.json as
 * its last step, so that an interrupted installation has no record.
 */
export function isInstalled(folder) {
  const wanted = readJson(join(folder, "package-lock.json"));
  const installed = readJson(join(folder, "node_modules", ".package-lock.json"));
  if (wanted === undefined || installed === undefined) return false;
  return Object.entries(wanted.packages).every(([path, entry]) => {
    if (path === "") return true;
    const found = installed.packages[path];
    if (found === undefined) return entry.optional === true || entry.devOptional === true;
    return found.version === entry.version && found.integrity === entry.integrity;
  });
}

/**
 * A lock by name that the kernel drops when its process dies: a socket in Linux's abstract namespace; elsewhere one in
 * the temporary folder, removed here if nobody listens on it any more. Calls `onWait` once if somebody holds it. A child
 * that inherits `descriptor` holds the lock too: an npm that outlives us still writes.
 */
async function takeLock(name, onWait) {
  const abstract = process.platform === "linux";
  const path = abstract ? `\0${name}` : join(tmpdir(), `${name}.sock`);
  for (let waited = false; ;) {
    const server = createServer();
    const taken = await new Promise((resolve, reject) => {
      server.once("error", (error) => (error.code === "EADDRINUSE" ? resolve(true) : reject(error)));
      server.listen(path, () => resolve(false));
    });
    if (!taken) {
      const guests = new Set();
      server.on("connection", (guest) => guests.add(guest.on("error", () => {})));
      const release = () => {
        for (const guest of guests) guest.destroy();
        server.close();
      };
      return { release, descriptor: server._handle?.fd };
    }
    if (!waited) onWait();
    waited = true;
    await untilReleased(path, abstract);
  }
}

/** Resolves when the process that listens at `path` has gone. */
function untilReleased(path, abstract) {
  return new Promise((resolve) => {
    const guest = connect(path);
    guest.on("error", (error) => {
      if (error.code === "ECONNREFUSED" && !abstract) rmSync(path, { force: true });
    });
    guest.on("close", resolve);
  });
}

/** Seconds since `start` (performance.now()), for people. */
function secondsSince(start) {
  return `${((performance.now() - start) / 1000).toFixed(0)} s`;
}

/** npm's registry by TUNEUP_MIRRORS, as recipe/mirrors.ts has it for every other program. The user's own wins. */
export function npmVariables(environment) {
  const name = environment.TUNEUP_MIRRORS;
  if (!name) return {};
  const mirrors = readJson(join(root, "recipe", "mirrors.json")) ?? {};
  if (!Object.hasOwn(mirrors, name)) {
    throw new SetupFault(
      `TUNEUP_MIRRORS is ${JSON.stringify(name)}, and known are: ${Object.keys(mirrors).join(", ")}. Set it to one of these, or unset it.`,
    );
  }
  if (environment.npm_config_registry || environment.NPM_CONFIG_REGISTRY) return {};
  return { npm_config_registry: mirrors[name].variables.npm_config_registry };
}

/** Runs a program on our terminal, `output` for its stdout, `descriptor` kept open in it; resolves to its exit code and signal. */
function runToEnd(command, words, options) {
  return new Promise((resolve, reject) => {
    const stdio = ["inherit", options.output, "inherit", options.descriptor ?? "ignore"];
    const child = spawn(command, words, { cwd: options.cwd, stdio, env: { ...process.env, ...options.variables } });
    // A terminal sends Ctrl-C to the child as well, which would take our copy for a second one. Who kills by pid means the child.
    const forward = (signal) => {
      if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
    };
    const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
    for (const signal of signals) process.on(signal, forward);
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      for (const name of signals) process.off(name, forward);
      resolve({ code, signal });
    });
  });
}

/** Ends as the child did: same exit code, or killed by the same signal. */
function endAs({ code, signal }) {
  if (signal !== null) process.kill(process.pid, signal);
  process.exitCode = code ?? 1;
}

/**
 * Installs node_modules by `npm ci` where it is missing, interrupted or of another package-lock.json. Two at once: the
 * second waits. Says what it does on stderr. Returns at once in an installed npm package, which has no lock file.
 */
export async function ensureDependencies(folder = root) {
  if (!existsSync(join(folder, "package-lock.json")) || isInstalled(folder)) return;
  const key = createHash("sha256").update(folder).digest("hex").slice(0, 16);
  const { release, descriptor } = await takeLock(`tuneup-npm-${process.getuid?.() ?? 0}-${key}`, () =>
    console.error("Waiting for another tuneup that installs the npm packages of this folder."),
  );
  try {
    if (isInstalled(folder)) return;
    const start = performance.now();
    console.error("Installing the npm packages (npm ci, about 200 MB to fetch and 480 MB on disk, once) ...");
    const npm = process.env.npm_execpath;
    const [command, ...words] = npm?.endsWith(".js") ? [process.execPath, npm] : ["npm"];
    const ended = await runToEnd(command, [...words, "ci", "--no-audit", "--no-fund", "--loglevel=error"], {
      cwd: folder,
      output: 2,
      descriptor,
      variables: npmVariables(process.env),
    });
    if (ended.signal !== null || ended.code === 130) {
      throw new SetupFault("Installing the npm packages was interrupted. Run the same command again.");
    }
    if (ended.code !== 0) {
      throw new SetupFault(
        `npm ci failed with exit code ${ended.code}; its output is above. Check the network and the npm registry (\`npm ping\`), then run the same command again.`,
      );
    }
    console.error(`npm packages installed in ${secondsSince(start)}.`);
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
    throw new SetupFault("npm was not found on PATH. Install Node >= 20 with npm (https://nodejs.org).");
  } finally {
    release();
  }
}

/** The Node that runs our TypeScript: this one if it can, else the one of the npm package `node`. */
function nodeForTypeScript() {
  if (runsTypeScript(process.versions.node)) return process.execPath;
  const packaged = join(root, "node_modules", "node", "bin", "node");
  if (existsSync(packaged)) return packaged;
  throw new SetupFault(
    `This is Node ${process.versions.node}; tuneup needs 22.18 or newer, and the npm package "node", which brings 24, is not installed ` +
      "(npm may be set to ignore install scripts). Run `npm rebuild node --ignore-scripts=false`, or install Node 24.",
  );
}

/** Runs the TypeScript program `file` (from the project's root) with `words`, installing first what is missing unless told not to. */
export async function runTypeScript(file, words, { install = true } = {}) {
  try {
    if (!atLeast(process.versions.node, 20, 0)) {
      throw new SetupFault(`This is Node ${process.versions.node}; tuneup needs Node >= 20 (https://nodejs.org).`);
    }
    if (install) await ensureDependencies();
    const node = nodeForTypeScript();
    const path = join(root, file);
    if (node !== process.execPath) {
      endAs(await runToEnd(node, ["--disable-warning=ExperimentalWarning", path, ...words], { output: "inherit" }));
      return;
    }
    hideExperimentalWarnings();
    process.argv = [process.execPath, path, ...words];
    await import(pathToFileURL(path).href);
  } catch (error) {
    if (!(error instanceof SetupFault)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}

/** node:sqlite, which our locks use, and type stripping are announced as experimental at each start by some versions. */
function hideExperimentalWarnings() {
  const emit = process.emitWarning;
  process.emitWarning = (warning, ...rest) => {
    const type = typeof rest[0] === "object" ? rest[0]?.type : rest[0];
    if (type !== "ExperimentalWarning") emit.call(process, warning, ...rest);
  };
}
