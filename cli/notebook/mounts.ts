import { accessSync, constants, existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { homeOf } from "../../recipe/home.ts";
import { layoutOf } from "../../recipe/layout.ts";
import { say } from "../language/say.ts";
import { decideHome, type HomeDecision, knownMounts, type Mount } from "./persistent-home.ts";

type Variables = Readonly<Record<string, string | undefined>>;

/** Looks at this machine and decides. Some stat calls: it is asked at every command. */
export function homeHere(variables: Variables, mounts: readonly string[] = knownMounts): HomeDecision {
  if (variables["TUNEUP_HOME"]) return { kind: "usual" };
  return decideHome({
    environment: variables,
    usualExists: existsSync(homeOf(variables)),
    mounts: mounts.flatMap((path) => mountAt(path) ?? []),
  });
}

/** Takes the data directory that a disk kept over a restart of the instance. Says so on stderr where a person reads it. */
export function takeFoundHome(): void {
  const decision = homeHere(process.env);
  if (decision.kind !== "found") return;
  process.env["TUNEUP_HOME"] = decision.home;
  if (process.stderr.isTTY) process.stderr.write(`${say("home.found", { home: decision.home })}\n`);
}

function mountAt(path: string): Mount | undefined {
  try {
    const stats = statSync(path);
    if (!stats.isDirectory()) return undefined;
    const home = layoutOf(`${path}/tuneup`);
    return {
      path,
      separate: stats.dev !== statSync(dirname(path)).dev,
      writable: isWritable(path),
      // The first command with this home installs the agent there; a clone of the project of that name has no such folder.
      ours: [home.agent, home.locks, home.env].some((folder) => existsSync(folder)) && !existsSync(`${home.root}/.git`),
    };
  } catch {
    return undefined;
  }
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
