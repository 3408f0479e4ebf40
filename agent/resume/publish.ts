import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { travellingPart } from "../../recipe/child-environment.ts";
import { layoutOf } from "../../recipe/layout.ts";
import { datasetRecord } from "../../recipe/lifecycle.ts";
import { type ResumePlan, resumePlace, resumePlaceFile } from "../../recipe/resume-plan.ts";
import { readRecord, sha256OfFile } from "../files.ts";
import { completeFile } from "../folders.ts";
import { agentPath } from "../processes.ts";
import { type Bucket, listObjects, openBucket, parseAddress, s3Fault } from "../s3/bucket.ts";
import { instanceRole } from "../s3/instance-role.ts";
import { insistOn, uploadFile } from "../s3/upload.ts";
import { inOrder, type Kept, keptCommands } from "./record.ts";

/** A folder in a bucket, reached by this machine's role. */
export interface Shelf {
  readonly bucket: Bucket;
  /** With a slash at its end. */
  readonly prefix: string;
}

/** Opens the folder of an address. `endpoint`: of a store other than AWS's own. */
export function openShelf(address: string, region: string, endpoint: string | undefined): Shelf {
  const { bucket, prefix } = parseAddress(address);
  const access = async () => ({ region, endpoint, ...(await instanceRole()) });
  return { bucket: openBucket(bucket, access, "artifacts"), prefix };
}

/**
 * Keeps in the bucket what the next machine goes on by: the programs, the prepared data, and last the plan. What is there already is not sent again. Throws the
 * Faults of the bucket.
 */
export async function publishPlan(dataDirectory: string, signal: AbortSignal): Promise<void> {
  const place = await readRecord(resumePlaceFile(dataDirectory), resumePlace);
  if (place === undefined) return;
  const all = await keptCommands(dataDirectory);
  const endpoint = endpointIn(all.get("run-declare"));
  const shelf = openShelf(place.address, place.region, endpoint);
  const there = new Set((await listObjects(shelf.bucket, shelf.prefix, signal)).map(({ key }) => key));
  const put = async (object: string, path: string): Promise<void> => {
    const key = shelf.prefix + object;
    if (!there.has(key)) await uploadFile(shelf.bucket, { path, key }, signal);
  };
  const dataset = await datasetOf(dataDirectory, all.get("dataset-ensure"));
  for (const { path, sha256 } of dataset?.files ?? []) {
    await put(`files/${sha256}`, `${dataDirectory}/${dataset?.folder ?? ""}/${path}`);
  }
  const agent = await sha256OfFile(agentPath());
  await put(`agent-${agent}.mjs`, agentPath());
  const node = await sha256OfFile(process.execPath);
  if (!there.has(`${shelf.prefix}node-${node}.gz`))
    await putNode(dataDirectory, (path) => put(`node-${node}.gz`, path));
  const plan: ResumePlan = {
    schemaVersion: 1,
    agent: { object: `agent-${agent}.mjs`, sha256: agent },
    node: { object: `node-${node}.gz`, sha256: node },
    told: inOrder([...all.values()].filter(({ input }) => input["withSecret"] !== true && input["over"] !== true)),
    ...(dataset === undefined ? {} : { dataset }),
    environment: withoutPasswords(travellingPart(process.env)),
    ...cannotOf(all),
  };
  const body = Buffer.from(`${JSON.stringify(plan, null, 1)}\n`);
  const { answer, text } = await insistOn(shelf.bucket, ["PUT", `${shelf.prefix}plan.json`, { signal, body }]);
  if (!answer.ok) throw s3Fault(shelf.bucket, answer.status, text);
}

async function putNode(dataDirectory: string, put: (path: string) => Promise<void>): Promise<void> {
  const packed = `${dataDirectory}/resume/node-${process.pid}.gz`;
  try {
    const file = createWriteStream(packed, { mode: 0o600 });
    await pipeline(createReadStream(process.execPath), createGzip({ level: 1 }), file);
    await put(packed);
  } finally {
    await rm(packed, { force: true });
  }
}

/** The prepared folder, its record among its files. */
async function datasetOf(dataDirectory: string, kept: Kept | undefined): Promise<ResumePlan["dataset"]> {
  const digest = kept?.input["digest"];
  if (typeof digest !== "string") return undefined;
  const path = `${layoutOf(dataDirectory).datasets}/${digest.slice(0, 16)}`;
  const record = await readRecord(`${path}/${completeFile}`, datasetRecord);
  if (record === undefined) return undefined;
  const own = await readFile(`${path}/${completeFile}`);
  const sha256 = createHash("sha256").update(own).digest("hex");
  const files = [...record.files, { path: completeFile, bytes: own.length, sha256 }];
  return { folder: path.slice(dataDirectory.length + 1), files };
}

/** Without addresses that name a user: a mirror that asks for a password is asked by the next `up` alone. */
function withoutPasswords(environment: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(environment).filter(([, value]) => !value.includes("@")));
}

function cannotOf(all: ReadonlyMap<string, Kept>): Pick<ResumePlan, "cannot"> {
  const isPushed = all.get("weights")?.command === "weights-adopt";
  return isPushed ? { cannot: "its weights were pushed from the machine of `up`" } : {};
}

function endpointIn(kept: Kept | undefined): string | undefined {
  const { endpoint } = (kept?.input["s3"] ?? {}) as { readonly endpoint?: unknown };
  return typeof endpoint === "string" ? endpoint : undefined;
}
