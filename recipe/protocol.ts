import { z } from "zod";
import { hostFacts } from "./host-facts.ts";
import {
  datasetRecord,
  endpointStatus,
  environmentRecord,
  faultFacts,
  fileDigest,
  runEvent,
  runManifest,
  runMetric,
  runStatus,
  weightsRecord,
} from "./lifecycle.ts";
import { s3Access } from "./s3-access.ts";
import { engineNames } from "./engines.ts";
import { datasetEntry, modelSource } from "./sources.ts";
import { variantNames } from "./variants.ts";

/**
 * What a host's agent understands. `node agent.mjs <command>` reads one JSON input on stdin and writes JSON lines on
 * stdout: any number of `progress`, `log` and `data`, then one `result` or `fault`. Secrets travel only here, never in argv.
 */

const dataDirectory = z.string().startsWith("/");
const ofExperiment = z.object({ dataDirectory, experiment: z.string() });
const device = z.enum(["auto", "cpu", "cuda"]);
const extras = z.array(z.enum(variantNames)).optional();
/** An engine with an environment of its own, and the text of its lock: too large for the agent, it travels with the command. */
const engine = z.object({ name: z.enum(engineNames), lock: z.string().min(1) });
const record = z.record(z.string(), z.unknown());

/** What decides a run, written to spec.json. `arguments` is all that LLaMA-Factory gets, paths already absolute. */
export const runSpec = z.object({
  schemaVersion: z.literal(1),
  experiment: z.string(),
  run: z.string(),
  arguments: record,
  /** Folder of the virtual environment. */
  environment: z.string(),
  device: z.enum(["cpu", "cuda"]),
  artifact: z.enum(["adapter", "weights"]),
  /** The experiment's own config, for the run page and `tuneup status`; no secrets. */
  config: record,
  /** A Pod of its own trains it, which the cluster starts and starts again. Default: the agent starts a supervisor here. */
  supervisor: z.literal("pod").optional(),
  /** Processes that train together: machines, and processes on each. Default: one. */
  processes: z.object({ nodes: z.int().positive(), perNode: z.int().positive() }).optional(),
  /** `tuneup:storage.artifacts`: where checkpoints and result are published. Default: nowhere. */
  artifacts: z.string().optional(),
});
export type RunSpec = z.infer<typeof runSpec>;

/** What an endpoint serves, written to its spec.json. */
export const endpointSpec = z.object({
  schemaVersion: z.literal(1),
  experiment: z.string(),
  run: z.string(),
  environment: z.string(),
  device: z.enum(["cpu", "cuda"]),
  weights: z.string(),
  /** LLaMA-Factory's template, the same as in training. */
  template: z.string(),
  /** Further inference arguments that must equal training's (default_system, finetuning_type, quantization, ...). */
  arguments: record,
  artifact: z.enum(["adapter", "weights"]),
  engine: z.enum(["huggingface", "vllm", "sglang"]),
  /** Serve the untouched base model as `base` too. `auto`: where memory allows. */
  base: z.enum(["auto", "yes", "no"]),
  /** Memory that one engine is estimated to need. */
  engineBytes: z.number(),
  host: z.string(),
  /** 0: the agent picks a free port from 8400 on and keeps it. */
  port: z.int().min(0).max(65535),
  /** https, by a certificate that the host makes or by the given one of this SHA-256. Default: plain http. */
  tls: z.union([z.literal("self-signed"), z.object({ certificate: z.string() })]).optional(),
  limits: z.object({
    requestsPerMinute: z.int().positive(),
    /** Requests that may wait for an engine; one more gets 429. */
    queue: z.int().positive(),
    bodyBytes: z.int().positive(),
    /** Ceiling and default of max_tokens. */
    maxTokens: z.int().positive(),
  }),
  /** Pods of their own serve it, which the cluster starts and starts again. Default: the agent starts a gateway here. */
  gateway: z.literal("pod").optional(),
});
export type EndpointSpec = z.infer<typeof endpointSpec>;

/** An endpoint with its address and key. */
export const endpointFacts = z.object({
  status: endpointStatus,
  url: z.string(),
  apiKey: z.string(),
  models: z.array(z.string()),
  /** Where it is https: its certificate (PEM, the endpoint's own first), which clients pin, and the SHA-256 of that. */
  certificate: z.string().optional(),
  fingerprint: z.string().optional(),
});
export type EndpointFacts = z.infer<typeof endpointFacts>;

/** A row in the template, in parts; `trained` is false where the loss is masked. */
export const datasetSample = z.object({
  tokens: z.int(),
  segments: z.array(z.object({ text: z.string(), trained: z.boolean() })),
});
export type DatasetSample = z.infer<typeof datasetSample>;

/** A place in a log: after so many bytes of the file. */
export const logPosition = z.object({ path: z.string(), bytes: z.int().min(0) });
export type LogPosition = z.infer<typeof logPosition>;

const usage = z.array(z.object({ what: z.string(), path: z.string(), bytes: z.number() }));

const command = <I extends z.ZodType, O extends z.ZodType>(input: I, output: O) => ({ input, output });

/** Every command: input and output schema. A command is idempotent and may be repeated after any interruption. */
export const commands = {
  /** Facts of the host, without changing it (but for creating the data directory to prove that it can be written). */
  preflight: command(
    z.object({
      dataDirectory,
      /** What the environment that is looked for has beyond the base lock. Default: nothing. */
      extras,
      /** Digest of the lock of an engine's environment, to look for that as well. Default: none is looked for. */
      engineLock: z.string().optional(),
      /** Is this port free, or held by this experiment's own endpoint? */
      port: z.object({ host: z.string(), port: z.int(), experiment: z.string() }).optional(),
      /** Ask whether the hubs are reached. Hosts other than this machine tell. Default: they are not asked. */
      egress: z.boolean().optional(),
    }),
    hostFacts,
  ),
  "environment-ensure": command(
    // extras: beyond the base lock; default: nothing. wheels: folder of pushed packages, deleted at the end; default: the index.
    // elsewhere: its GPU is another Pod's, so it is tested on the CPU here; default: false.
    // engine: what it is instead of the environment that trains; it has no extras then.
    z.object({
      ...{ dataDirectory, device, extras, engine: engine.optional() },
      ...{ wheels: z.string().optional(), elsewhere: z.boolean().optional() },
    }),
    z.object({ path: z.string(), record: environmentRecord, created: z.boolean() }),
  ),
  "environment-read": command(
    z.object({ dataDirectory, lock: z.string() }),
    z.object({ path: z.string(), record: environmentRecord }).nullable(),
  ),
  "weights-ensure": command(
    z.object({
      dataDirectory,
      model: modelSource,
      environment: z.string(),
      hubToken: z.string().optional(),
      /** What the model's words were when they were first used: taken instead of asking what they are now. */
      pin: z.object({ source: z.string(), revision: z.string() }).optional(),
      /** How to reach an s3:// address. Default: without credentials, as a public bucket wants it. */
      s3: s3Access.optional(),
    }),
    z.object({ path: z.string(), record: weightsRecord, bytes: z.number(), created: z.boolean() }),
  ),
  /** `damage` names the first file that is missing or differs. Only files whose size or mtime changed are hashed again. */
  "weights-read": command(
    z.object({ dataDirectory, path: z.string() }),
    z.object({ record: weightsRecord, bytes: z.number(), damage: z.string().optional() }).nullable(),
  ),
  /** Weights whose files were pushed to `path`, a folder of models/: checks them by the record and makes them complete. */
  "weights-adopt": command(
    z.object({ dataDirectory, path: z.string(), record: weightsRecord }),
    z.object({ bytes: z.number() }),
  ),
  "dataset-ensure": command(
    z.object({
      dataDirectory,
      digest: z.string(),
      entries: z.array(datasetEntry).min(1),
      /** For gated datasets; sent to the hub alone. */
      hubToken: z.string().optional(),
    }),
    z.object({ path: z.string(), record: datasetRecord }),
  ),
  "dataset-read": command(
    z.object({ dataDirectory, digest: z.string() }),
    z.object({ path: z.string(), record: datasetRecord, damage: z.string().optional() }).nullable(),
  ),
  /** One row as LLaMA-Factory renders it. `environment` and `weights` are folders on the host. */
  "dataset-sample": command(
    z.object({ dataDirectory, environment: z.string(), weights: z.string(), info: record, row: record, train: record }),
    datasetSample,
  ),
  /** Writes the spec, starts the supervisor unless the run is complete or supervised. Returns at once. `s3`: how spec.artifacts is reached; kept until the run ends. Default: by the machine's role. */
  "run-declare": command(
    z.object({ dataDirectory, spec: runSpec, s3: s3Access.optional() }),
    z.object({ status: runStatus }),
  ),
  "run-read": command(
    z.object({ dataDirectory, run: z.string() }),
    z
      .object({
        status: runStatus,
        spec: runSpec,
        manifest: runManifest.nullable(),
        /** First artifact that is missing or differs from the manifest. */
        damage: z.string().optional(),
        bytes: z.number(),
      })
      .nullable(),
  ),
  /** Follows with progress until the run ends; starts a dead supervisor again. Fails with the run's fault. */
  "run-wait": command(
    z.object({ dataDirectory, run: z.string() }),
    z.object({ status: runStatus, manifest: runManifest }),
  ),
  /** Asks the trainer to save and end, waits until it has; the run is `stopped`, and only run-declare starts it again. */
  "run-stop": command(z.object({ dataDirectory, run: z.string() }), z.object({ status: runStatus.nullable() })),
  /** All runs of an experiment, newest first. */
  "run-list": command(ofExperiment, z.array(runStatus)),
  /** Metrics and events so far, for pages and `status`. */
  "run-curve": command(
    z.object({ dataDirectory, run: z.string() }),
    z.object({ metrics: z.array(runMetric), events: z.array(runEvent) }),
  ),
  "endpoint-declare": command(
    z.object({
      dataDirectory,
      spec: endpointSpec,
      /** The given certificate and its private key, PEM. Never part of the spec, which lies in a record. */
      tls: z.object({ certificate: z.string(), key: z.string() }).optional(),
    }),
    endpointFacts,
  ),
  "endpoint-read": command(ofExperiment, endpointFacts.extend({ spec: endpointSpec }).nullable()),
  /** Until `model`, or else every model, is ready or failed; follows with progress. */
  "endpoint-wait": command(ofExperiment.extend({ model: z.string().optional() }), endpointFacts),
  "endpoint-delete": command(ofExperiment, z.object({})),
  "endpoint-rotate-key": command(ofExperiment, endpointFacts),
  /** How many bytes of each file are in `folder`, which lies in the data directory, to go on from there; -1: it is whole and right. */
  "files-state": command(
    z.object({ dataDirectory, folder: z.string(), files: z.array(fileDigest) }),
    z.object({ here: z.array(z.int().min(-1)) }),
  ),
  /** What lies in the data directory for this experiment, and what is shared. */
  usage: command(ofExperiment, usage),
  /** Deletes this experiment's runs, endpoint and datasets that no other run names; never what is shared. */
  purge: command(ofExperiment, usage),
  /** Lines as `data`: trainer log of the newest run, or the gateway's. `from`: where an earlier call ended, which then needs no `lines`. */
  logs: command(
    z.object({
      dataDirectory,
      experiment: z.string(),
      of: z.enum(["run", "endpoint"]),
      follow: z.boolean(),
      lines: z.int().min(0),
      from: logPosition.optional(),
    }),
    z.object({}),
  ),
} as const;

export type Commands = typeof commands;
export type CommandName = keyof Commands;
export type CommandInput<N extends CommandName> = z.input<Commands[N]["input"]>;
export type CommandOutput<N extends CommandName> = z.output<Commands[N]["output"]>;

/** Progress of a long command. Sent at most a few times a second; the receiver thins it further. */
export const progress = z.object({
  /** One short line for people, e.g. `step 12/24, loss 0.61, lr 8.1e-4, 512 tokens/s, 0:21 left`. */
  message: z.string(),
  /** 0..1 where known. */
  fraction: z.number().min(0).max(1).optional(),
  secondsLeft: z.number().optional(),
});
export type Progress = z.infer<typeof progress>;

/** One line of the agent's stdout. */
export const agentMessage = z.discriminatedUnion("type", [
  z.object({ type: z.literal("progress"), progress }),
  /** Worth keeping in the log of the update, e.g. why a route failed and which is next. */
  z.object({ type: z.literal("log"), level: z.enum(["info", "warning"]), message: z.string() }),
  z.object({ type: z.literal("data"), line: z.string(), at: logPosition.optional() }),
  z.object({ type: z.literal("result"), value: z.unknown() }),
  z.object({ type: z.literal("fault"), fault: faultFacts }),
]);
export type AgentMessage = z.infer<typeof agentMessage>;

/** What the gateway tells its web page at `GET /api/run` (with the key). */
export const runView = z.object({
  experiment: z.string(),
  /** Ids as in /v1/models; the first is the experiment's own. */
  models: z.array(z.string()),
  /** Null until the run is declared (or its record is torn). */
  run: runStatus.nullable(),
  endpoint: endpointStatus,
  metrics: z.array(runMetric),
  /** The experiment's config, for people. */
  config: record,
  manifest: runManifest.nullable(),
});
export type RunView = z.infer<typeof runView>;
