import { randomBytes } from "node:crypto";
import { link, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { makeFolder } from "../../agent/files.ts";
import { homeUnwritable } from "../../agent/home.ts";
import { z } from "zod";
import { Fault } from "../../recipe/fault.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Where Pulumi's state is kept: `ours` in the data directory, else where the user said or is logged in. */
export interface Backend {
  readonly kind: "ours" | "user";
  /** For people; never with a token. */
  readonly description: string;
}

/** Which backend holds: PULUMI_BACKEND_URL, then PULUMI_ACCESS_TOKEN, then a `pulumi login`, then ours in `home`. */
export async function backendOf(home: string, environment: Environment): Promise<Backend> {
  const ours: Backend = { kind: "ours", description: withoutUserinfo(stateUrl(home)) };
  const url = environment["PULUMI_BACKEND_URL"];
  if (url)
    return isOurs(url, home) ? ours : { kind: "user", description: `${withoutUserinfo(url)} (PULUMI_BACKEND_URL)` };
  if (environment["PULUMI_ACCESS_TOKEN"]) return { kind: "user", description: "Pulumi Cloud (PULUMI_ACCESS_TOKEN)" };
  const login = await currentLogin(environment);
  if (login === undefined || isOurs(login, home)) return ours;
  return { kind: "user", description: `${withoutUserinfo(login)} (\`pulumi login\`)` };
}

/**
 * URL of our own backend. Without files of attributes: Pulumi does not replace those atomically, and one that a kill
 * left empty makes every command fail with `failed to load checkpoint: EOF`.
 */
export function stateUrl(home: string): string {
  return `file://${home}/state?metadata=skip`;
}

function isOurs(url: string, home: string): boolean {
  return withoutUserinfo(url) === withoutUserinfo(stateUrl(home));
}

/** `current` of Pulumi's credentials file; undefined where nobody is logged in. */
async function currentLogin(environment: Environment): Promise<string | undefined> {
  const folder =
    environment["PULUMI_CREDENTIALS_PATH"] ?? environment["PULUMI_HOME"] ?? `${environment["HOME"] ?? ""}/.pulumi`;
  try {
    const { current } = JSON.parse(await readFile(`${folder}/credentials.json`, "utf8")) as { current?: unknown };
    return typeof current === "string" && current !== "" ? current : undefined;
  } catch {
    return undefined;
  }
}

function withoutUserinfo(url: string): string {
  return url.replace(/\/\/[^/@]*@/, "//").replace(/\?.*$/, "");
}

/** Creates our backend's folder (0700), and with `passphrase` its passphrase file (0600) too; keeps what is there. Two at once agree on one passphrase. */
export async function prepareBackend(home: string): Promise<void> {
  try {
    await makeFolder(`${home}/state`);
  } catch (thrown) {
    throw homeUnwritable(home, thrown);
  }
}

/** Path of the passphrase file of our backend, made at the first call: random, 0600, never replaced, never printed. */
export async function ensurePassphrase(home: string): Promise<string> {
  const path = `${home}/passphrase`;
  const existing = await readFile(path, "utf8").catch((thrown: unknown) => {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw homeUnwritable(home, thrown);
  });
  if (existing?.trim()) return path;
  if (existing !== undefined || (await hasStacks(home))) {
    throw new Fault({
      code: "passphrase-lost",
      message: `${path} is ${existing === undefined ? "missing" : "empty"}, and the stacks in ${home}/state are encrypted with it.`,
      next: `Put it back from a backup, or set PULUMI_CONFIG_PASSPHRASE, or move ${home}/state away to begin anew.`,
    });
  }
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    await writeFile(temporary, `${randomBytes(32).toString("base64url")}\n`, { mode: 0o600, flag: "wx" });
    // A link is made whole or not at all, and never over a file that somebody else made in the meantime.
    await link(temporary, path).catch((thrown: unknown) => {
      if ((thrown as NodeJS.ErrnoException).code !== "EEXIST") throw thrown;
    });
  } catch (thrown) {
    throw homeUnwritable(home, thrown);
  } finally {
    await rm(temporary, { force: true });
  }
  return path;
}

async function hasStacks(home: string): Promise<boolean> {
  const entries = await readdir(`${home}/state/.pulumi/stacks`, { recursive: true, withFileTypes: true }).catch(
    () => [],
  );
  return entries.some((entry) => entry.isFile() && entry.name.endsWith(".json"));
}

/**
 * Is it certain that the state names no resource of this stack, since it was never up or is down again? Asks files alone, so it is
 * never certain with another backend than ours.
 */
export async function hasNoResources(stack: string, home: string, environment: Environment): Promise<boolean> {
  if ((await backendOf(home, environment)).kind !== "ours") return false;
  const latest = await latestState(`${home}/state/.pulumi`, stack);
  // What is down again has no list of them.
  return latest !== undefined && ((latest?.["resources"] ?? []) as unknown[]).length === 0;
}

/** A stack's file in a file backend, of the version that has been written since 2018. */
const checkpointFile = z.object({
  version: z.literal(3),
  checkpoint: z.object({ latest: z.record(z.string(), z.unknown()).nullish() }),
});

/**
 * A stack's state as Pulumi exports it, from the folder of a file backend without its CLI, which takes half a second for it. null where there is none;
 * undefined where the file can't be understood.
 */
export async function latestState(folder: string, stack: string): Promise<Record<string, unknown> | null | undefined> {
  try {
    const text = await readFile(`${folder}/stacks/tuneup/${stack}.json`, "utf8");
    const file = checkpointFile.parse(JSON.parse(text));
    return file.checkpoint.latest ?? null;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === "ENOENT" ? null : undefined;
  }
}
