import { z } from "zod";

/** Version of every record below. A reader refuses a larger one and migrates a smaller one. */
export const schemaVersion = 1;

/**
 * State of a run; docs/lifecycle.md numbers the steps.
 * `queued` waits for the host's lease; `training` includes loading; `complete`, `failed` and `stopped` are terminal.
 * `interrupted`: the record says training, but no supervisor holds the lock (computed on read, never written).
 */
export const runState = z.enum(["queued", "training", "saving", "complete", "failed", "stopped", "interrupted"]);
export type RunState = z.infer<typeof runState>;

/** Facts of a fault as stored and sent, see FaultFacts. */
export const faultFacts = z.object({
  code: z.string(),
  property: z.string().optional(),
  message: z.string(),
  next: z.string().optional(),
  blame: z.enum(["user", "infrastructure", "bug"]).optional(),
});

/** `status.json` of a run: what the supervisor knows now. */
export const runStatus = z.object({
  schemaVersion: z.literal(schemaVersion),
  run: z.string(),
  state: runState,
  /** Starts of the trainer so far, 1 for the first. */
  attempt: z.int().min(0),
  /** Optimizer steps done, and in all (0 until known). */
  step: z.int().min(0),
  totalSteps: z.int().min(0),
  loss: z.number().optional(),
  learningRate: z.number().optional(),
  tokensPerSecond: z.number().optional(),
  /** Estimate of the training time left, from the recent steps. */
  secondsLeft: z.number().optional(),
  supervisorPid: z.int().optional(),
  trainerPid: z.int().optional(),
  /** ISO 8601, as all times here. */
  declaredAt: z.string(),
  startedAt: z.string().optional(),
  endedAt: z.string().optional(),
  updatedAt: z.string(),
  /** One sentence for people: what it does now or why it ended. */
  detail: z.string().optional(),
  fault: faultFacts.optional(),
  /** What of it is in the bucket of `storage.artifacts`; absent where nothing is to be there. */
  published: z
    .object({
      /** s3:// address of the run's folder. */
      address: z.string(),
      /** Step of the newest checkpoint there. */
      step: z.int().optional(),
      /** Is the artifact there? */
      complete: z.literal(true).optional(),
      /** Why the last try failed, or why no other will be made. */
      fault: faultFacts.optional(),
    })
    .optional(),
  /** Beside `stopped` and `failed` of a run in a Pod: not its last word, for the cluster may start another Pod that goes on. */
  nextPod: z.literal(true).optional(),
});
export type RunStatus = z.infer<typeof runStatus>;

/** One line of `events.jsonl`: a change of state or something worth knowing later. */
export const runEvent = z.object({
  at: z.string(),
  kind: z.enum(["declared", "attached", "attempt", "state", "checkpoint", "retry", "fault", "note"]),
  message: z.string(),
});
export type RunEvent = z.infer<typeof runEvent>;

/** One line of `metrics.jsonl`, written at each logged step. Absent fields were not reported at that step. */
export const runMetric = z.object({
  at: z.string(),
  attempt: z.int(),
  step: z.int(),
  epoch: z.number().optional(),
  loss: z.number().optional(),
  evalLoss: z.number().optional(),
  learningRate: z.number().optional(),
  gradNorm: z.number().optional(),
  tokensPerSecond: z.number().optional(),
  totalTokens: z.number().optional(),
});
export type RunMetric = z.infer<typeof runMetric>;

/** One file with its digest. `path` is relative to the folder that the record describes. */
export const fileDigest = z.object({
  path: z.string(),
  bytes: z.int().min(0),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type FileDigest = z.infer<typeof fileDigest>;

/** `manifest.json`: written last; with it the run is complete. */
export const runManifest = z.object({
  schemaVersion: z.literal(schemaVersion),
  run: z.string(),
  completedAt: z.string(),
  attempts: z.int(),
  step: z.int(),
  totalSteps: z.int(),
  trainSeconds: z.number(),
  finalLoss: z.number().optional(),
  totalTokens: z.number().optional(),
  /** What LoRA-like methods leave is served on top of the weights; `full` and `freeze` leave whole weights. */
  artifact: z.enum(["adapter", "weights"]),
  /** Every file of `output/` but checkpoints. */
  files: z.array(fileDigest),
});
export type RunManifest = z.infer<typeof runManifest>;

/**
 * State of an endpoint. `waiting`: its run is not complete; `starting`: an engine loads; `ready`: a one-token completion
 * succeeded; `restarting`: an engine ended and is started again after a backoff; `failed`: 5 failures in a row;
 * `down`: no gateway holds the lock (computed on read, never written); `stopped`: taken down on purpose.
 */
export const endpointState = z.enum(["waiting", "starting", "ready", "restarting", "failed", "down", "stopped"]);
export type EndpointState = z.infer<typeof endpointState>;

/** One served model: the experiment's name or `base`. */
export const servedModel = z.object({
  id: z.string(),
  state: endpointState,
  enginePid: z.int().optional(),
  enginePort: z.int().optional(),
  /** Failures in a row. */
  failures: z.int().min(0),
  detail: z.string().optional(),
});
export type ServedModel = z.infer<typeof servedModel>;

/** `status.json` of an endpoint. */
export const endpointStatus = z.object({
  schemaVersion: z.literal(schemaVersion),
  experiment: z.string(),
  run: z.string(),
  state: endpointState,
  host: z.string(),
  port: z.int(),
  gatewayPid: z.int().optional(),
  models: z.array(servedModel),
  /** Why `base` is not served, where it is not. */
  baseRefused: z.string().optional(),
  updatedAt: z.string(),
  detail: z.string().optional(),
});
export type EndpointStatus = z.infer<typeof endpointStatus>;

/** `.complete` of a weights folder. */
export const weightsRecord = z.object({
  schemaVersion: z.literal(schemaVersion),
  source: z.string(),
  id: z.string(),
  revision: z.string(),
  completedAt: z.string(),
  files: z.array(fileDigest),
});
export type WeightsRecord = z.infer<typeof weightsRecord>;

/** `.complete` of an environment. */
export const environmentRecord = z.object({
  schemaVersion: z.literal(schemaVersion),
  lock: z.string(),
  completedAt: z.string(),
  python: z.string(),
  torch: z.string(),
  llamafactory: z.string(),
  transformers: z.string(),
  /** What the self-test ran one operation on. */
  device: z.enum(["cpu", "cuda"]),
  deviceName: z.string(),
  /** Where torch came from: `cpu`, `cu128`, ... (an index of PyTorch's) or `pypi`. */
  torchSource: z.string(),
  bytes: z.int(),
});
export type EnvironmentRecord = z.infer<typeof environmentRecord>;

/** `.complete` of a dataset folder. */
export const datasetRecord = z.object({
  schemaVersion: z.literal(schemaVersion),
  digest: z.string(),
  completedAt: z.string(),
  /** Names as registered in dataset_info.json, in the order of the experiment. */
  names: z.array(z.string()),
  rows: z.int(),
  files: z.array(fileDigest),
});
export type DatasetRecord = z.infer<typeof datasetRecord>;
