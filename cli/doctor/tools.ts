import { execa } from "execa";
import { pinnedUv } from "../../agent/environment/uv.ts";
import { allowedEnvironment } from "../../recipe/child-environment.ts";
import { layoutOf } from "../../recipe/layout.ts";
import { findExecutable } from "../toolchain/executables.ts";
import { installedPulumi, pulumiOnPath } from "../toolchain/pulumi.ts";
import { goMinimum, isAtLeast, pulumiVersion } from "../toolchain/versions.ts";
import { type Say, sayIn } from "../language/say.ts";
import type { Check, Variables } from "./check.ts";

/** Node, npm, Pulumi, Go, uv and git: where they are and whether they are recent enough. */
export async function toolChecks(home: string, variables: Variables, tell: Say = sayIn("en")): Promise<Check[]> {
  const [npm, go, uv, git, pulumi] = await Promise.all([
    lookUp("npm", ["--version"], variables),
    lookUp("go", ["version"], variables),
    lookUp("uv", ["--version"], {
      ...variables,
      PATH: `${variables["PATH"] ?? ""}:${layoutOf(home).tools}/uv-${pinnedUv}`,
    }),
    lookUp("git", ["--version"], variables),
    pulumiCheck(home, variables),
  ]);
  return [
    { name: "node", state: "ok", detail: `${process.versions.node} (${process.execPath})` },
    npm === undefined
      ? {
          name: "npm",
          state: "missing",
          detail: tell("doctor.tool.none"),
          next: tell("doctor.npm.next"),
        }
      : { name: "npm", state: "ok", detail: told(npm) },
    goAndPulumi(pulumi, go, tell),
    goCheck(pulumi, go, tell),
    uv === undefined
      ? { name: "uv", state: "note", detail: tell("doctor.uv.none") }
      : { name: "uv", state: "ok", detail: told(uv) },
    git === undefined
      ? { name: "git", state: "note", detail: tell("doctor.git.none") }
      : { name: "git", state: "ok", detail: told(git) },
  ];
}

interface Found {
  readonly path: string;
  readonly version: string;
}

function told({ path, version }: Found): string {
  return `${version} (${path})`;
}

/** The program on PATH with the version that it says; undefined where there is none that runs. */
async function lookUp(name: string, words: readonly string[], variables: Variables): Promise<Found | undefined> {
  const path = await findExecutable(name, variables["PATH"]);
  if (path === undefined) return undefined;
  const { stdout, failed } = await execa(path, words, {
    env: allowedEnvironment(variables),
    extendEnv: false,
    reject: false,
    timeout: 15_000,
    stdin: "ignore",
  });
  if (failed) return undefined;
  return { path, version: /\d+\.\d+(\.\d+)?\S*/.exec(stdout)?.[0] ?? stdout.trim() };
}

type Pulumi = { readonly detail: string } | { readonly lacking: string };

async function pulumiCheck(home: string, variables: Variables): Promise<Pulumi> {
  const onPath = await pulumiOnPath(variables);
  if ("tool" in onPath) return { detail: `${onPath.tool.version} (${onPath.tool.command})` };
  const ours = await installedPulumi(home);
  if (ours !== undefined) return { detail: `${ours.version} (${ours.command})` };
  return { lacking: onPath.reason.replace(/\.$/, "") };
}

function goAndPulumi(pulumi: Pulumi, go: Found | undefined, tell: Say): Check {
  if ("detail" in pulumi) return { name: "pulumi", state: "ok", detail: pulumi.detail };
  const how =
    go !== undefined && isAtLeast(go.version, goMinimum) ? tell("doctor.pulumi.go") : tell("doctor.pulumi.download");
  return {
    name: "pulumi",
    state: "note",
    detail: tell("doctor.pulumi.none", { lacking: pulumi.lacking, version: pulumiVersion, how }),
  };
}

function goCheck(pulumi: Pulumi, go: Found | undefined, tell: Say): Check {
  if (go !== undefined && isAtLeast(go.version, goMinimum)) return { name: "go", state: "ok", detail: told(go) };
  const found =
    go === undefined ? tell("doctor.tool.none") : tell("doctor.go.old", { found: told(go), minimum: goMinimum });
  if ("detail" in pulumi) return { name: "go", state: "note", detail: tell("doctor.go.unneeded", { found }) };
  return {
    name: "go",
    state: "warning",
    detail: tell("doctor.go.needed", { found }),
    next: tell("doctor.go.next"),
  };
}
