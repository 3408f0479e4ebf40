import { createHash } from "node:crypto";
import { readdir, readFile, rm } from "node:fs/promises";
import { homedir, hostname } from "node:os";
import type { Stack } from "./automation.ts";
import { z } from "zod";
import { isAlive } from "../agent/processes.ts";
import { Fault } from "../recipe/fault.ts";
import { say as sentence } from "./language/say.ts";
import { projectFolder } from "./project.ts";
import { latestState } from "./toolchain/backend.ts";

const lockFile = z.object({ pid: z.int(), hostname: z.string() });

const deployment = z.object({
  pending_operations: z.array(z.object({ type: z.string(), resource: z.object({ urn: z.string() }) })).nullish(),
});

/** What is cleared, for whom. */
export interface Recovery {
  readonly say: (line: string) => void;
  /** Does what has no idempotent creation, a machine in AWS, before the records of cut-off creations are cleared. `state`: as Pulumi exports it. */
  readonly before?: ((state: unknown) => Promise<void>) | undefined;
  /** Are the records of cut-off creations cleared? Default: true; a preview leaves them to who ends what they began. */
  readonly clears?: boolean;
}

/**
 * Clears what a killed `pulumi` leaves behind: the lock of a dead process of this machine, and records of creations
 * that were cut off. Ours are idempotent, so what a cut-off creation began is found again by the next one.
 */
export async function recover(
  stack: Pick<Stack, "name" | "cancel" | "exportStack" | "refresh">,
  { say, before, clears = true }: Recovery,
): Promise<void> {
  const holders = await lockHolders(stack.name);
  const alive = holders.find((holder) => holder.hostname !== hostname() || isAlive(holder.pid));
  if (alive !== undefined) {
    throw new Fault({
      code: "stack-locked",
      message: `Another pulumi (process ${alive.pid} on ${alive.hostname}) is at work on ${stack.name}.`,
      next: "Wait until it has ended, or press Ctrl-C there; then run this again.",
      blame: "infrastructure",
    });
  }
  if (holders.length > 0) {
    say(sentence("recover.lock", { pids: holders.map(({ pid }) => pid).join(", ") }));
    await stack.cancel();
  }
  const state = await stateOf(stack);
  await before?.(state);
  const pending = deployment.parse(state).pending_operations ?? [];
  if (clears && pending.length > 0) {
    const names = pending.map(
      ({ type, resource }) => `${type} ${resource.urn.split("::").at(-2)?.split(":").at(-1) ?? ""}`,
    );
    say(sentence("recover.pending", { names: names.join(", ") }));
    await stack.refresh({ clearPendingCreates: true });
  }
}

/** The stack's state as Pulumi exports it; from a file backend without its CLI. */
async function stateOf(stack: Pick<Stack, "name" | "exportStack">): Promise<unknown> {
  const folder = stateFolder();
  const latest = folder === undefined ? undefined : await latestState(folder, stack.name);
  return latest ?? (await stack.exportStack()).deployment;
}

/**
 * Pulumi replaces a stack's state atomically, but not the file of attributes that its file backend keeps beside it, nor the
 * one that remembers which stack is selected. A kill in that instant leaves it empty, and every command then fails with
 * `failed to load checkpoint: EOF` or `could not parse file`. Without it all goes on.
 */
export async function removeTornFiles(stackName: string, say: (line: string) => void): Promise<void> {
  if ((await lockHolders(stackName)).some(({ pid }) => isAlive(pid))) return;
  const state = stateFolder();
  const attributes = [
    `stacks/tuneup/${stackName}.json.attrs`,
    `stacks/tuneup/${stackName}.json.bak.attrs`,
    "meta.yaml.attrs",
  ];
  const files = state === undefined ? [] : attributes.map((file) => `${state}/${file}`);
  for (const file of [...files, selectionFile()]) {
    const text = await readFile(file, "utf8").catch(() => undefined);
    if (text === undefined || isJson(text)) continue;
    say(sentence("recover.torn", { file }));
    await rm(file, { force: true });
  }
}

/** Where Pulumi remembers the selected stack of this project. */
function selectionFile(): string {
  const home = process.env["PULUMI_HOME"] ?? `${homedir()}/.pulumi`;
  const digest = createHash("sha1").update(`${projectFolder}/Pulumi.yaml`).digest("hex");
  return `${home}/workspaces/tuneup-${digest}-workspace.json`;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Folder of a file backend; undefined where the backend is another. */
function stateFolder(): string | undefined {
  const url = process.env["PULUMI_BACKEND_URL"];
  return url?.startsWith("file://") === true
    ? `${url.slice("file://".length).replace(/\?.*$/, "")}/.pulumi`
    : undefined;
}

/** Who holds the stack's lock in a file backend; nobody where the backend is another. */
async function lockHolders(stackName: string): Promise<z.infer<typeof lockFile>[]> {
  const state = stateFolder();
  if (state === undefined) return [];
  const folder = `${state}/locks/organization/tuneup/${stackName}`;
  const names = await readdir(folder).catch(() => []);
  const holders = await Promise.all(
    names.map(async (name) => {
      const text = await readFile(`${folder}/${name}`, "utf8").catch(() => "");
      try {
        return [lockFile.parse(JSON.parse(text))];
      } catch {
        return [];
      }
    }),
  );
  return holders.flat();
}
