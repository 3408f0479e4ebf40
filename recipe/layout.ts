/**
 * Names of everything in a data directory. One place, so that agent, provider and CLI agree.
 * Paths are POSIX and joined with `/`: hosts are Linux (or macOS for `local`).
 */
export interface Layout {
  readonly root: string;
  /** uv and other tools of the agent. */
  readonly tools: string;
  /** Immutable copies of the agent, one folder a content hash. */
  readonly agent: string;
  readonly env: string;
  /** Packages that were pushed for an environment, until it is made. */
  readonly wheels: string;
  readonly models: string;
  readonly datasets: string;
  readonly runs: string;
  readonly endpoints: string;
  /** Lock files (SQLite databases, see agent/lock.ts), one a guarded thing. */
  readonly locks: string;
  run(run: string): RunLayout;
  endpoint(experiment: string): EndpointLayout;
}

/** Files of one run. */
export interface RunLayout {
  readonly directory: string;
  /** What was declared: RunSpec. Written once. */
  readonly spec: string;
  /** The YAML that LLaMA-Factory gets. */
  readonly config: string;
  /** RunStatus, replaced atomically. */
  readonly status: string;
  /** Appended: one RunEvent a line. */
  readonly events: string;
  /** Appended: one RunMetric a line. */
  readonly metrics: string;
  /** stdout and stderr of the trainer. */
  readonly log: string;
  /** LLaMA-Factory's output_dir: adapter, checkpoints, curves. */
  readonly output: string;
  /** RunManifest; there only when the run is complete, written last. */
  readonly manifest: string;
  /** Held by the live supervisor. */
  readonly lock: string;
  /** The agent that a Pod of its own runs; only there. */
  readonly agent: string;
}

/** Files of one endpoint. */
export interface EndpointLayout {
  readonly directory: string;
  /** What was declared: EndpointSpec. Replaced atomically when settings change. */
  readonly spec: string;
  /** EndpointStatus, replaced atomically. */
  readonly status: string;
  /** The API key, mode 0600. Survives down and up. */
  readonly key: string;
  readonly log: string;
  /** Held by the live gateway. */
  readonly lock: string;
  /** The agent that Pods of its own run; only there. */
  readonly agent: string;
}

/** Folders of the adapters to go on from, commas between them: a folder as it is, or what a run in the data directory left. */
export function adapterFolder(adapters: string, layout: Layout): string {
  return adapters
    .split(",")
    .map((adapter) => adapter.trim())
    .map((adapter) => (adapter.includes("/") ? adapter : layout.run(adapter).output))
    .join(",");
}

/** What is said where there is no adapter to go on from. */
export function noAdapter(folder: string): { readonly message: string; readonly next: string } {
  return {
    message: `There is no adapter in ${folder}: adapter_config.json is missing.`,
    next: "Name a folder that has one, or a run with finetuning_type lora that is complete.",
  };
}

/** The layout of the data directory at `root` (an absolute path without a trailing slash). */
export function layoutOf(root: string): Layout {
  const runs = `${root}/runs`;
  const endpoints = `${root}/endpoints`;
  return {
    root,
    tools: `${root}/tools`,
    agent: `${root}/agent`,
    env: `${root}/env`,
    wheels: `${root}/wheels`,
    models: `${root}/models`,
    datasets: `${root}/datasets`,
    runs,
    endpoints,
    locks: `${root}/locks`,
    run: (run) => {
      const directory = `${runs}/${run}`;
      return {
        directory,
        spec: `${directory}/spec.json`,
        config: `${directory}/train.yaml`,
        status: `${directory}/status.json`,
        events: `${directory}/events.jsonl`,
        metrics: `${directory}/metrics.jsonl`,
        log: `${directory}/trainer.log`,
        output: `${directory}/output`,
        manifest: `${directory}/manifest.json`,
        lock: `${directory}/supervisor.lock`,
        agent: `${directory}/agent.mjs`,
      };
    },
    endpoint: (experiment) => {
      const directory = `${endpoints}/${experiment}`;
      return {
        directory,
        spec: `${directory}/spec.json`,
        status: `${directory}/status.json`,
        key: `${directory}/key`,
        log: `${directory}/gateway.log`,
        lock: `${directory}/gateway.lock`,
        agent: `${directory}/agent.mjs`,
      };
    },
  };
}
