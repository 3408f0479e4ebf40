import { z } from "zod";

/**
 * How a bucket is reached. It has secrets: it travels on stdin alone, and is never kept but for a run that publishes, in its folder, until that
 * run ends.
 */
export const s3Access = z.object({
  accessKeyId: z.string().optional(),
  secretAccessKey: z.string().optional(),
  sessionToken: z.string().optional(),
  region: z.string().optional(),
  /** Base URL of a store other than AWS's own, such as MinIO. */
  endpoint: z.string().optional(),
});
export type S3Access = z.infer<typeof s3Access>;

/** The access that AWS's own variables name, as its command line takes them. */
export function s3AccessOf(environment: Readonly<Record<string, string | undefined>>): S3Access {
  const first = (...names: string[]) => names.map((name) => environment[name]).find((value) => (value ?? "") !== "");
  return {
    accessKeyId: first("AWS_ACCESS_KEY_ID"),
    secretAccessKey: first("AWS_SECRET_ACCESS_KEY"),
    sessionToken: first("AWS_SESSION_TOKEN"),
    region: first("AWS_REGION", "AWS_DEFAULT_REGION"),
    endpoint: first("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
  };
}

/**
 * What a run is declared with: its spec, and how its host reaches the bucket that it publishes to. A machine on AWS has a role of its own for
 * that: no keys of the caller's go there.
 */
export function declaration<S extends { readonly artifacts?: string | undefined }>(
  spec: S,
  host: { readonly kind: string; readonly region?: string },
  environment: Readonly<Record<string, string | undefined>>,
): { spec: S; s3?: S3Access } {
  if (spec.artifacts === undefined) return { spec };
  const { region, endpoint, ...keys } = s3AccessOf(environment);
  // From a network without a way out S3 is reached in its own region alone.
  const s3 = host.kind === "aws" ? { region: host.region, endpoint } : { ...keys, region, endpoint };
  return { spec, s3 };
}

/** Where the runs of an experiment are published: a folder below `storage.artifacts`, with a slash at its end. */
export function publishedRuns(artifacts: string, experiment: string): string {
  return `${artifacts.replace(/\/+$/, "")}/${experiment}/runs/`;
}

/** Where a run is published: its folder there, with a slash at its end. */
export function publishedFolder(artifacts: string, experiment: string, run: string): string {
  return `${publishedRuns(artifacts, experiment)}${run}/`;
}
