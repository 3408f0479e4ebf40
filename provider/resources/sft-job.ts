import { z } from "zod";
import { adapterFaults } from "../../checks/folders.ts";
import type { TrainArguments } from "../../recipe/arguments.ts";
import { datasetSource } from "../../recipe/experiment-schema.ts";
import { hostSpec } from "../../recipe/host.ts";
import { adapterFolder, layoutOf } from "../../recipe/layout.ts";
import { modelSource } from "../../recipe/sources.ts";
import { declaration } from "../../recipe/s3-access.ts";
import { runSpecOf } from "../../recipe/specs.ts";
import { keptSentence } from "../../recipe/usage.ts";
import { keepRun, requireSafe } from "../artifact-safety.ts";
import { failureOf, type Health, healthy, type ResourceKind } from "../kind.ts";
import { previewCheck } from "../preview-check.ts";
import { runIdentity, runProcesses } from "../run-identity.ts";
import { hasUnknown, type Wire } from "../values.ts";

const inputs = z.object({
  host: hostSpec,
  /** Which machine the host is, where it may become another: what it is to do is said to that one again. */
  machine: z.string().optional(),
  experiment: z.string(),
  /** What decides the run, as in the experiment: its identity is known before anything is fetched. */
  train: z.record(z.string(), z.unknown()),
  datasets: z.array(datasetSource).min(1),
  model: modelSource,
  /** `tuneup:serve.checkpoint`. Default: last. */
  checkpoint: z.enum(["last", "best"]).optional(),
  /** Path of the lock file where hub revisions are pinned. */
  pins: z.string().optional(),
  /** Name of the run; computed by check. */
  run: z.string(),
  /** Hash of what the user declared; computed by check. */
  declared: z.string(),
  /** Outputs of Environment, ModelWeights and Dataset. */
  environment: z.string(),
  device: z.enum(["cpu", "cuda"]),
  weights: z.string(),
  datasetPath: z.string(),
  datasetNames: z.array(z.string()),
  /** The experiment's config, shown with the run. */
  config: z.record(z.string(), z.unknown()),
  /** Machines, and processes on each, that train together. Default: one process. */
  processes: runProcesses.optional(),
  /** `tuneup:storage.artifacts`: where checkpoints and result are published. Default: nowhere. */
  artifacts: z.string().optional(),
  /** `tuneup:teardown.discard`: may it be destroyed although its artifact lies on the host alone? Default: no. */
  discard: z.boolean().optional(),
});

/** Outputs of `tuneup-host:index:SftJob`. */
export interface SftJobOutputs extends Health {
  /** Folder of the run on the host. */
  readonly directory: string;
}

/**
 * One training, declared to the host's agent and not waited for. A change of what decides its result is a new run
 * (replace); the old one is stopped first and its artifacts are kept.
 */
export const sftJobKind: ResourceKind<typeof inputs, SftJobOutputs> = {
  inputs,
  replaceOn: ["host", "run"],
  recorded: ["discard"],
  // All that decides the result is in the run's name.
  incidental: [
    "train",
    "datasets",
    "pins",
    "model",
    "checkpoint",
    "environment",
    "device",
    "weights",
    "datasetPath",
    "datasetNames",
    "config",
    "processes",
  ],

  async check(news: Wire, olds: Wire) {
    const { train, datasets, model, experiment, host } = news;
    if (hasUnknown([train, datasets, model, experiment])) return { failures: [] };
    const place = hostSpec.safeParse(host).data;
    const home = place?.kind === "local" ? place.dataDirectory : undefined;
    const failures = adapterFaults(modelSource.parse(model).adapter, home).map(failureOf);
    const named = await runIdentity(news);
    // Dataset's own check passed before. What can't be read now has no digest: a run must not get its name from none.
    if ("failures" in named) return { failures: [...failures, ...named.failures] };
    const { declared, run } = named;
    // A new release brings another environment or edits a built-in dataset: that alone never trains again.
    if (olds["declared"] === declared && typeof olds["run"] === "string") {
      keepRun(host, olds["run"]);
      return { computed: { run: olds["run"], declared }, failures };
    }
    const checked =
      place === undefined || hasUnknown(news["config"])
        ? { failures: [], warnings: [] }
        : await previewCheck(news["config"], place, news["pins"] as string | undefined);
    keepRun(host, run);
    return {
      computed: { run, declared },
      failures: [...failures, ...checked.failures],
      warnings: checked.warnings,
    };
  },

  id: ({ run }) => run,

  async ensure(given, { host, options }) {
    const { run, experiment, environment, device, weights, datasetPath, datasetNames, config } = given;
    const { checkpoint, model } = given;
    const { dataDirectory } = host;
    const folders = layoutOf(dataDirectory);
    const adapter = model.adapter === undefined ? {} : { adapter: adapterFolder(model.adapter, folders) };
    const prepared = {
      dataDirectory,
      experiment,
      run,
      environment,
      device,
      weights,
      datasetPath,
      datasetNames,
      config,
      ...(given.processes === undefined ? {} : { processes: given.processes }),
      artifacts: given.artifacts,
    };
    const extras = checkpoint === undefined ? {} : { checkpoint };
    const spec = runSpecOf(given.train as TrainArguments, { ...prepared, ...adapter }, extras);
    await host.run("run-declare", declaration(spec, given.host, process.env), options);
    return { directory: folders.run(run).directory, state: healthy };
  },

  async read({ run }, old, { host, options }) {
    const found = await host.run("run-read", { run }, options);
    if (found === null) return { ...old, state: "missing" };
    if (found.damage !== undefined) return { ...old, state: `damaged: ${found.damage}` };
    const ended =
      found.status.state === "interrupted" || found.status.state === "failed" || found.status.state === "stopped";
    return { ...old, state: ended ? found.status.state : healthy };
  },

  async remove({ run, experiment, discard }, { host, options }) {
    await requireSafe({ run, experiment, discard }, host);
    await host.run("run-stop", { run }, options);
    const usage = await host.run("usage", { experiment }, options);
    options.onLog?.("info", keptSentence(usage, host.dataDirectory));
  },
};
