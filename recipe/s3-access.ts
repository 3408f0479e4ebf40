import { z } from "zod";

/** How a bucket is reached. It has secrets: it travels on stdin alone and is never kept. */
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
