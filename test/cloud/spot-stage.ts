import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { aws, type CloudStage, openCloudStage } from "./stage.ts";

/** Opens a stage with an experiment of spot capacity, whose weights lie in a bucket of the user's. `train`: more of its arguments. */
export async function openSpotStage(name: string, steps: number, train: object = {}): Promise<CloudStage> {
  // A machine that reaches some hub fetches its weights itself, also those in a bucket: what is pushed to it, no other can have.
  const stage = await openCloudStage(({ door }) => ({ HF_ENDPOINT: door.address }));
  await giveWeights(stage, "tiny");
  const model = { source: "s3", id: `s3://${weights}/tiny` };
  await stage.write(name, steps, { model, train, aws: { ...aws, spot: true } });
  return stage;
}

const weights = "weights";

/** Puts the tiny model into a bucket that everybody may read: the next machine has none of the keys of `up`. */
async function giveWeights({ cloud: { s3 }, model }: CloudStage, folder: string): Promise<void> {
  const open = { Bucket: weights, ACL: "public-read" } as const;
  await s3.createBucket(open);
  for (const file of await readdir(model)) {
    await s3.putObject({ ...open, Key: `${folder}/${file}`, Body: await readFile(join(model, file)) });
  }
}

/** Names of the buckets beside that with the weights. */
export async function ownBuckets({ cloud: { s3 } }: CloudStage): Promise<string[]> {
  const { Buckets = [] } = await s3.listBuckets({});
  return Buckets.map(({ Name = "" }) => Name).filter((bucket) => bucket !== weights);
}

/** Keys of what lies in the stack's bucket. */
export async function published(stage: CloudStage): Promise<string[]> {
  const [Bucket = ""] = await ownBuckets(stage);
  const { Contents = [] } = await stage.cloud.s3.listObjectsV2({ Bucket });
  return Contents.map(({ Key = "" }) => Key);
}

/** What lies there under the one key that ends so, as JSON; undefined where there is none yet. */
export async function publishedJson<T>(stage: CloudStage, ending: string): Promise<T | undefined> {
  const [Bucket = ""] = await ownBuckets(stage);
  const Key = (await published(stage)).find((key) => key.endsWith(ending));
  if (Key === undefined) return undefined;
  const { Body } = await stage.cloud.s3.getObject({ Bucket, Key });
  return JSON.parse((await Body?.transformToString()) ?? "null") as T;
}
