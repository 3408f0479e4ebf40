import { z } from "zod";
import { environmentRecord } from "./lifecycle.ts";

/** What a host says of itself before anything is made there; the command `preflight` tells it. */
export const hostFacts = z.object({
  platform: z.string(),
  arch: z.string(),
  cores: z.int(),
  memoryBytes: z.number(),
  memoryFreeBytes: z.number(),
  diskFreeBytes: z.number(),
  /** Set when the data directory can't be written: why. */
  unwritable: z.string().optional(),
  python: z.object({ path: z.string(), version: z.string() }).nullable(),
  gpus: z.array(z.object({ name: z.string(), memoryBytes: z.number(), driver: z.string() })),
  /** Why there seems to be a GPU and none can be used, as `gpuTrouble` says; the list of GPUs is empty then. */
  driverTrouble: z.string().optional(),
  port: z.enum(["free", "ours", "taken"]).optional(),
  /** Which of these the host reaches. */
  egress: z.object({ pypi: z.boolean(), huggingface: z.boolean(), modelscope: z.boolean() }).optional(),
  /** Its C library as it names itself, e.g. `glibc 2.36`. */
  libc: z.string().optional(),
  /** Seconds by which its clock is ahead of ours. */
  clockAheadSeconds: z.number().optional(),
  /** Environment, by lock, that is already complete here. */
  environment: environmentRecord.nullable(),
  /** The engine's environment, where it was asked for. */
  engineEnvironment: environmentRecord.nullable().optional(),
});
export type HostFacts = z.infer<typeof hostFacts>;
