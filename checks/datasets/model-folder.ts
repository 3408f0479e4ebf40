import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { readRecord } from "../../agent/files.ts";
import { completeFile } from "../../agent/folders.ts";
import { layoutOf } from "../../recipe/layout.ts";
import { environmentRecord, weightsRecord } from "../../recipe/lifecycle.ts";
import type { ModelSource } from "../../recipe/sources.ts";

/** Folder of the model on this machine, if it is here: the user's own, or the newest that was fetched for the same id. */
export async function modelFolder(
  model: Pick<ModelSource, "source" | "id" | "revision">,
  home: string,
): Promise<string | undefined> {
  if (model.source === "path") return existsSync(join(model.id, "config.json")) ? model.id : undefined;
  const { models } = layoutOf(home);
  const found: { path: string; at: string }[] = [];
  for (const name of await readdir(models).catch(() => [])) {
    const path = join(models, name);
    const record = await readRecord(join(path, completeFile), weightsRecord);
    if (record?.id !== model.id) continue;
    if (model.revision === undefined || model.revision === record.revision)
      found.push({ path, at: record.completedAt });
  }
  return found.sort((a, b) => (a.at < b.at ? 1 : -1))[0]?.path;
}

/** Folder of the newest complete environment in the data directory. */
export async function environmentFolder(home: string): Promise<string | undefined> {
  const { env } = layoutOf(home);
  const found: { path: string; at: string }[] = [];
  for (const name of await readdir(env).catch(() => [])) {
    const record = await readRecord(join(env, name, completeFile), environmentRecord);
    if (record !== undefined) found.push({ path: join(env, name), at: record.completedAt });
  }
  return found.sort((a, b) => (a.at < b.at ? 1 : -1))[0]?.path;
}
