import { mkdir, rename, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { allowedEnvironment } from "../../recipe/child-environment.ts";
import { Fault } from "../../recipe/fault.ts";
import { findExecutable } from "./executables.ts";
import { duration } from "./report.ts";
import { type InstallRoute, type RouteContext, throwIfCancelled } from "./route.ts";
import { goMinimum, isAtLeast, pulumiVersion } from "./versions.ts";

/** A program written in Go. */
export interface Program {
  readonly name: string;
  /** Where its go.mod and go.sum are. */
  readonly folder: string;
  /** Its package, as `go build` takes it. */
  readonly package: string;
  /** More flags of `go build`. */
  readonly flags: readonly string[];
}

const versionVariable = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version";

const programs = [
  { name: "pulumi-language-nodejs", package: "github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs" },
  { name: "pulumi", package: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi" },
].map((program): Program => ({
  ...program,
  folder: fileURLToPath(new URL(`../../tools/${program.name}`, import.meta.url)),
  flags: ["-ldflags", `-s -w -X ${versionVariable}=v${pulumiVersion}`],
}));

/** Builds the pinned Go modules of tools/ with the machine's Go. Go's own module and build caches are used, so that an interrupted build goes on. */
export const buildRoute: InstallRoute = {
  name: "Building it from source",
  source: "built",
  async install(folder, context) {
    const go = await findGo(context);
    await mkdir(`${folder}/bin`, { recursive: true });
    const { report } = context;
    report.step(
      `Building the Pulumi CLI ${pulumiVersion} from its pinned sources with ${go.version}: 3 to 7 minutes on 2 cores, once. ` +
        "Go keeps about 3.5 GB in its own caches (`go clean -cache -modcache` frees them).",
    );
    for (const program of programs) await buildProgram(program, go.path, `${folder}/bin/${program.name}`, context);
    await withoutTypeScript(`${folder}/bin/pulumi-language-nodejs`);
  },
};

/**
 * The language host that can be built on its own is older than the CLI, which tells it of Pulumi.yaml's `typescript: false` in a way that it
 * doesn't know: it would load TypeScript and ts-node into each program (0.2 s). It has a flag for the same.
 */
async function withoutTypeScript(host: string): Promise<void> {
  await rename(host, `${host}.bin`);
  const script = [
    "#!/bin/sh",
    "# A link to it has no such file beside it.",
    'host="$0"',
    '[ -x "$host.bin" ] || host="$(readlink -f "$0")"',
    'exec "$host.bin" -typescript=false "$@"',
  ];
  await writeFile(host, `${script.join("\n")}\n`, { mode: 0o755 });
}

/** A Go that is new enough. */
export interface Go {
  readonly path: string;
  /** As it says it: `go1.26.8`. */
  readonly version: string;
}

/** The Go of PATH. Throws Fault where there is none or it is too old. */
export async function findGo(context: RouteContext): Promise<Go> {
  const path = await findExecutable("go", context.environment["PATH"]);
  if (path === undefined) throw new Fault({ code: "go-missing", message: "Go was not found on PATH." });
  const { stdout } = await runGo(path, ["version"], "/", context);
  const version = /go\d+\.\d+(\.\d+)?/.exec(stdout)?.[0] ?? stdout.trim();
  if (isAtLeast(version, goMinimum)) return { path, version };
  throw new Fault({ code: "go-old", message: `${path} is ${version}, and Go >= ${goMinimum} is needed.` });
}

/** Builds one program to `target`, with its progress. Throws Fault with Go's last line where that fails. */
export async function buildProgram(program: Program, go: string, target: string, context: RouteContext): Promise<void> {
  const flags = ["-trimpath", "-buildvcs=false", ...program.flags];
  const start = performance.now();
  let state = "resolving the modules";
  const say = () =>
    context.report.progress(`  ${program.name}: ${state}, ${duration(performance.now() - start)} elapsed`);
  // A large package compiles for a minute without a word of Go's; the time goes on.
  const clock = setInterval(say, 1000);
  const run = (words: readonly string[], onLine: (line: string) => void) =>
    runGo(go, words, program.folder, context, onLine);
  try {
    let fetched = 0;
    const listing = ["list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", ...flags, program.package];
    const { stdout } = await run(listing, (line) => {
      if (!line.startsWith("go: downloading")) return;
      state = `${++fetched} modules fetched`;
      say();
    });
    const stale = new Set(stdout.split("\n").filter((line) => line !== ""));
    let compiled = 0;
    await run(["build", "-v", ...flags, "-o", target, program.package], (line) => {
      if (!stale.has(line.trim())) return;
      compiled++;
      state = compiled < stale.size ? `${compiled} of ${stale.size} packages compiled` : "linking";
      say();
    });
  } finally {
    clearInterval(clock);
  }
  context.report.step(`  ${program.name} built in ${duration(performance.now() - start)}.`);
}

/** Runs Go in `folder`; each line of stderr goes to `onLine`. Throws Fault with its last line where it fails. */
async function runGo(
  go: string,
  words: readonly string[],
  folder: string,
  context: RouteContext,
  onLine: (line: string) => void = () => undefined,
): Promise<{ stdout: string }> {
  let last = "";
  try {
    const child = execa(go, words, {
      cwd: folder,
      env: goEnvironment(context.environment),
      extendEnv: false,
      cancelSignal: context.signal,
      // Go ends its compilers on SIGINT; on SIGTERM it leaves them running.
      killSignal: "SIGINT",
      forceKillAfterDelay: 5000,
    });
    for await (const line of child.iterable({ from: "stderr" })) {
      onLine(line);
      if (line.trim() !== "") last = line.trim();
    }
    return await child;
  } catch (thrown) {
    throwIfCancelled(context.signal);
    throw new Fault(
      { code: "go-failed", message: `go ${words[0] ?? ""} failed: ${last || (thrown as Error).message}` },
      { cause: thrown },
    );
  }
}

/** Go's own settings (GOPROXY, GOCACHE, ...) are the user's, over those of TUNEUP_MIRRORS; what would change the result is ours. */
function goEnvironment(environment: RouteContext["environment"]): Record<string, string> {
  const settings = Object.entries(environment).filter(
    (entry): entry is [string, string] => /^GO[A-Z0-9]*$/.test(entry[0]) && entry[1] !== undefined,
  );
  return {
    ...allowedEnvironment(environment),
    ...Object.fromEntries(settings),
    CGO_ENABLED: "0",
    GOWORK: "off",
    GOFLAGS: "",
  };
}
