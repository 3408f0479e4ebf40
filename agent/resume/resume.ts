import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { asFault, Fault } from "../../recipe/fault.ts";
import { travellingPart } from "../../recipe/child-environment.ts";
import { commands } from "../../recipe/protocol.ts";
import { type ResumePlan, resumePlan, resumePlace, resumePlaceFile, type Replayed } from "../../recipe/resume-plan.ts";
import type { Context } from "../context.ts";
import { readRecord, sha256OfFile, writeAtomically } from "../files.ts";
import { completeFile } from "../folders.ts";
import { downloadObject } from "../s3/download.ts";
import { listObjects } from "../s3/bucket.ts";
import { openShelf, type Shelf } from "./publish.ts";

/** Does one command again. */
export type Replay = (command: Replayed, input: unknown, context: Context) => Promise<unknown>;

/** Waits between tries of what is the network's fault. */
const pausesMs = [5_000, 15_000, 60_000, 120_000];

/**
 * `node agent.mjs resume --data-directory D --plan FILE`, started by a machine that took another's place: does again what that one was told, so that the run
 * goes on from what it published. What is done already is found done. Says each step on stdout.
 */
export async function resume(argv: readonly string[], replay: Replay): Promise<void> {
  const options = { "data-directory": { type: "string" }, plan: { type: "string" } } as const;
  const { "data-directory": dataDirectory, plan: file } = parseArgs({ args: [...argv], options }).values;
  if (dataDirectory === undefined || file === undefined) throw new Error("resume needs --data-directory and --plan.");
  try {
    const plan = resumePlan.parse(JSON.parse(await readFile(file, "utf8")));
    Object.assign(process.env, travellingPart(plan.environment ?? {}));
    await resumeBy(plan, { dataDirectory, replay, pausesMs, say });
  } catch (thrown) {
    const fault = asFault(thrown);
    say(`this machine can't go on by itself: ${fault.sentence}`);
    if (fault.blame === "bug") console.error(thrown);
    process.exitCode = 1;
  }
}

/** What going on needs. */
export interface Resuming {
  readonly dataDirectory: string;
  readonly replay: Replay;
  readonly pausesMs: readonly number[];
  readonly say: (line: string) => void;
}

/** The same for a plan. Throws Fault `resume-impossible`, and those of bucket and commands. */
export async function resumeBy(plan: ResumePlan, { dataDirectory, replay, pausesMs, say }: Resuming): Promise<void> {
  if (plan.cannot !== undefined) {
    throw new Fault({
      code: "resume-impossible",
      property: "aws.spot",
      message: `This machine took another's place, and ${plan.cannot}.`,
      next: "Run `npx tuneup up`: the run goes on from its last published checkpoint.",
      blame: "infrastructure",
    });
  }
  const { signal } = new AbortController();
  const persist = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    say(`going on with what the machine before was told: ${what}`);
    for (let failed = 0; ; failed++) {
      try {
        await work();
        return;
      } catch (thrown) {
        const pause = pausesMs[failed];
        if (asFault(thrown).blame !== "infrastructure" || pause === undefined) throw thrown;
        say(`${asFault(thrown).sentence} It is tried again.`);
        await delay(pause);
      }
    }
  };
  await persist("its data", () => bringDataset(plan, dataDirectory, signal));
  for (const { command, input } of plan.told) {
    const whole = commands[command].input.parse({ ...input, dataDirectory });
    await persist(command, () => replay(command, whole, contextOf(say, signal)));
  }
  say("this machine goes on by itself.");
}

/** Brings the prepared data to where it was, its record last. */
async function bringDataset({ dataset, told }: ResumePlan, dataDirectory: string, signal: AbortSignal): Promise<void> {
  const place = await readRecord(resumePlaceFile(dataDirectory), resumePlace);
  if (dataset === undefined || place === undefined) return;
  const folder = `${dataDirectory}/${dataset.folder}`;
  if ((await readFile(`${folder}/${completeFile}`).catch(() => undefined)) !== undefined) return;
  const s3 = told.find(({ command }) => command === "run-declare")?.input["s3"] as { endpoint?: string } | undefined;
  const shelf = openShelf(place.address, place.region, s3?.endpoint);
  const objects = await listObjects(shelf.bucket, `${shelf.prefix}files/`, signal);
  const record = dataset.files.filter(({ path }) => path === completeFile);
  for (const file of [...dataset.files.filter(({ path }) => path !== completeFile), ...record]) {
    const object = objects.find(({ key }) => key === `${shelf.prefix}files/${file.sha256}`);
    if (object === undefined) throw changed(file.path, shelf, "is not there");
    const target = `${folder}/${file.path}`;
    const partial = `${dataDirectory}/resume/${file.sha256}.part`;
    const isRecord = file.path === completeFile;
    const arrived = isRecord ? `${dataDirectory}/resume/${file.sha256}` : target;
    await downloadObject(shelf.bucket, { object, target: arrived, partial }, signal);
    if ((await sha256OfFile(arrived)) !== file.sha256) throw changed(file.path, shelf, "is another one");
    if (isRecord) await writeAtomically(target, await readFile(arrived, "utf8"));
  }
}

function changed(path: string, { bucket }: Shelf, how: string): Fault {
  return new Fault({
    code: "resume-impossible",
    property: "aws.spot",
    message: `${path} of the data ${how} in the bucket ${bucket.name}.`,
    next: "Run `npx tuneup up`: it brings the data again.",
  });
}

function contextOf(say: (line: string) => void, signal: AbortSignal): Context {
  let last = "";
  return {
    progress: ({ message }) => {
      // One line for each step: figures change too often for a console.
      const plain = createHash("sha1").update(message.replaceAll(/\d+/g, "")).digest("hex");
      if (plain !== last) say(message);
      last = plain;
    },
    log: (_level, message) => say(message),
    data: () => undefined,
    signal,
  };
}

function say(line: string): void {
  process.stdout.write(`tuneup: ${line}\n`);
}
