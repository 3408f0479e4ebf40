import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { duration } from "../cli/toolchain/report.ts";
import { ensureSystemPackages } from "./system-packages.ts";

/**
 * `npm test [-- GROUP ... [VITEST WORDS]]`: static checks, then the tests of each group (all by default), setting up
 * first what is missing. `npm test -- unit test/cli` runs what lies in test/cli.
 */
const root = fileURLToPath(new URL("..", import.meta.url));
const bin = `${root}node_modules/.bin`;
const environment = { ...process.env, PATH: `${bin}:${process.env["PATH"] ?? ""}` };

const testGroups = ["unit", "browser", "engine", "faults", "e2e", "cluster", "cloud"];

/** Runs a program to its end on our terminal; its exit code, 1 where a signal ended it. */
async function run(command: string, words: readonly string[]): Promise<number> {
  const child = spawn(command, words, { cwd: root, env: environment, stdio: "inherit" });
  // A terminal's Ctrl-C reaches the child too; its ending ends us.
  const wait = (): void => undefined;
  const end = (): void => void child.kill("SIGTERM");
  process.on("SIGINT", wait).on("SIGTERM", end);
  const [code] = (await once(child, "exit")) as [number | null];
  process.off("SIGINT", wait).off("SIGTERM", end);
  return code ?? 1;
}

/** Runs one check and says how long it took; false where it failed. */
async function check(name: string, words: readonly [string, ...string[]]): Promise<boolean> {
  const start = performance.now();
  const [command, ...rest] = words;
  const code = await run(command, rest);
  const took = duration(performance.now() - start);
  if (code === 0) console.log(`${name}: ok (${took})`);
  else console.error(`${name}: failed (${took}): ${words.join(" ")}`);
  return code === 0;
}

/** All checks, so that one run tells everything that is wrong; false where one failed. */
async function staticChecks(): Promise<boolean> {
  const parts = [
    "recipe",
    "hosts",
    "agent",
    "checks",
    "policies",
    "provider",
    "components",
    "cli",
    "scripts",
    "web",
    "index.ts",
  ];
  // Each takes one core: two at once.
  const lanes = [
    async () => [
      await check("Types", ["tsc", "--noEmit"]),
      !existsSync(`${root}web/tsconfig.json`) || (await check("Types of the pages", ["tsc", "--noEmit", "-p", "web"])),
      await check("Import directions", [
        "depcruise",
        "--output-type=err",
        ...parts.filter((part) => existsSync(`${root}${part}`)),
      ]),
    ],
    async () => [
      await check("Format", ["prettier", "--check", "--log-level=warn", "."]),
      await check("Lint", ["eslint", "."]),
    ],
  ];
  const results = (await Promise.all(lanes.map((lane) => lane()))).flat();
  return results.every((passed) => passed);
}

/** Builds the cluster's programs while the other groups run, whose tests mostly wait. What fails there is told by the group itself. */
function buildAhead(): ChildProcess {
  const child = spawn("nice", ["-n", "19", "node", "test/cluster/build-programs.ts"], {
    cwd: root,
    env: environment,
    stdio: "ignore",
  });
  child.once("error", () => undefined).unref();
  return child;
}

const words = process.argv.slice(2);
const named = words.filter((word) => testGroups.includes(word) || word === "static");
const rest = words.filter((word) => !named.includes(word));
const groups = testGroups.filter((group) => named.length === 0 || named.includes(group));

if (!ensureSystemPackages(groups) && process.env["CI"] === "true") process.exit(1);
if (!(await check("Build", ["node", "scripts/build.ts"]))) process.exit(1);
if ((named.length === 0 || named.includes("static")) && !(await staticChecks())) process.exit(1);
if (groups.length > 0) {
  const ahead = groups.includes("cluster") ? buildAhead() : undefined;
  process.exitCode = await run("vitest", ["run", ...groups.map((group) => `--project=${group}`), ...rest]);
  ahead?.kill();
}
