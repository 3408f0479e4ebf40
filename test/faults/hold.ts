import { chown, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { commandsLock } from "../../agent/endpoints/endpoint-records.ts";
import { type HeldLock, waitForLock } from "../../agent/lock.ts";
import { readDatasets } from "../../provider/read-datasets.ts";
import { sftJobKind } from "../../provider/resources/sft-job.ts";
import { layoutOf } from "../../recipe/layout.ts";
import { experimentOf, type Stage } from "./stage.ts";

/**
 * Takes the lock under which the agent makes this kind of resource, so that its making lasts until the lock is released:
 * these are made in an instant otherwise, and a kill would come too late. Undefined for those that take their time.
 */
export async function holdUp(
  step: string,
  stage: Stage,
  name: string,
  maxSteps: number,
): Promise<HeldLock | undefined> {
  const path = await lockOf(step, stage, name, maxSteps);
  if (path === undefined) return undefined;
  const held = await waitForLock(path);
  // On a host the file is the user's, who can't open one of root's, nor what is in a folder of root's.
  const { uid, gid } = await stat(stage.data);
  for (let made = path; made !== stage.data; made = dirname(made)) await chown(made, uid, gid);
  return held;
}

async function lockOf(step: string, stage: Stage, name: string, maxSteps: number): Promise<string | undefined> {
  const layout = layoutOf(stage.data);
  const { model, datasets, train } = experimentOf(stage.model, maxSteps);
  if (step === "Dataset") return `${layout.locks}/datasets-${(await readDatasets(datasets)).digest.slice(0, 16)}`;
  if (step === "ChatEndpoint") return commandsLock(layout, name);
  if (step !== "SftJob") return undefined;
  const checked = await sftJobKind.check?.({ experiment: name, model, datasets, train }, {});
  return `${layout.locks}/declare-${String(checked?.computed?.["run"])}`;
}
