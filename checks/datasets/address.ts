import { AwsClient } from "aws4fetch";
import { objectUrl } from "../../agent/s3/bucket.ts";
import { Fault } from "../../recipe/fault.ts";
import { s3AccessOf } from "../../recipe/s3-access.ts";
import type { RemoteFile } from "../../recipe/sources.ts";

const validSeconds = 12 * 3600;

/**
 * A url dataset as a file to fetch. An s3:// address becomes an https one, signed with the standard AWS_* variables where they are set: the host
 * that fetches gets a signature for this one file and never the keys. AWS_ENDPOINT_URL(_S3) names other stores than Amazon's.
 */
export async function remoteOf(
  { address, sha256 }: { readonly address: string; readonly sha256: string },
  environment: Readonly<Record<string, string | undefined>>,
): Promise<RemoteFile> {
  if (!address.startsWith("s3://")) return { path: nameIn(new URL(address).pathname), url: address, sha256 };
  const [, bucket = "", key = ""] = /^s3:\/\/([^/]+)\/(.+)$/.exec(address) ?? [];
  if (key === "") {
    const message = `${address} names no file; it must be s3://BUCKET/KEY.`;
    throw new Fault({ code: "dataset-address", property: "datasets", message });
  }
  const { accessKeyId, secretAccessKey, sessionToken, region = "us-east-1", endpoint } = s3AccessOf(environment);
  const url = objectUrl(bucket, key, region, endpoint);
  const path = nameIn(key);
  if (accessKeyId === undefined || secretAccessKey === undefined) return { path, url: url.href, sha256 };
  url.searchParams.set("X-Amz-Expires", String(validSeconds));
  const session = sessionToken === undefined ? {} : { sessionToken };
  const client = new AwsClient({ accessKeyId, secretAccessKey, ...session, service: "s3", region });
  const signed = await client.sign(url.href, { method: "GET", aws: { signQuery: true } });
  return { path, url: signed.url, sha256 };
}

/** The last part, as it is: it only names a file in the cache, where other signs than letters and digits are replaced. */
function nameIn(path: string): string {
  return path.split("/").at(-1) ?? "data";
}
