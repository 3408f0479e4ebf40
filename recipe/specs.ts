import type { TrainArguments } from "./arguments.ts";
import { engineBytes } from "./estimates/engine.ts";
import type { Experiment } from "./experiment.ts";
import { layoutOf } from "./layout.ts";
import { schemaVersion } from "./lifecycle.ts";
import type { EndpointSpec, RunSpec } from "./protocol.ts";
import { adaptersUnder, artifactOf, renderServing, renderTraining, templateOf, type TrainingExtras } from "./render.ts";
import { tlsOf } from "./tls.ts";

/** Where on the host an experiment's parts are, and what they are called there. */
export interface Prepared {
  readonly dataDirectory: string;
  readonly experiment: string;
  /** Name of the run. */
  readonly run: string;
  readonly environment: string;
  readonly device: "cpu" | "cuda";
  readonly weights: string;
  /** Folders of the adapters to go on from, commas between them. Default: a new one. */
  readonly adapter?: string;
  /** SHA-256 of the endpoint's certificate where one is given. */
  readonly certificate?: string;
}

/** What the training has beyond that. */
export interface PreparedTraining extends Prepared {
  readonly datasetPath: string;
  readonly datasetNames: readonly string[];
  /** Shown with the run; no secrets. */
  readonly config: RunSpec["config"];
  /** Processes that train together. Default: one. */
  readonly processes?: RunSpec["processes"];
  /** `tuneup:storage.artifacts`. Default: it is published nowhere. */
  readonly artifacts?: string | undefined;
}

/** What a run is declared with: the provider sends it, `tuneup render` shows it. */
export function runSpecOf(train: TrainArguments, prepared: PreparedTraining, extras: TrainingExtras = {}): RunSpec {
  const { experiment, run, environment, device, weights, datasetPath, datasetNames, adapter, config } = prepared;
  const { output } = layoutOf(prepared.dataDirectory).run(run);
  const paths = { weights, datasets: datasetPath, output, ...(adapter === undefined ? {} : { adapter }) };
  return {
    schemaVersion,
    experiment,
    run,
    arguments: { ...renderTraining(train, datasetNames, paths, device, extras) },
    environment,
    device,
    artifact: artifactOf(train),
    config,
    ...(prepared.processes === undefined ? {} : { processes: prepared.processes }),
    ...(prepared.artifacts === undefined ? {} : { artifacts: prepared.artifacts }),
  };
}

/** What an endpoint is declared with. */
export function endpointSpecOf(
  train: TrainArguments,
  serve: Pick<Experiment["serve"], "engine" | "base" | "host" | "port" | keyof EndpointSpec["limits"]> & {
    readonly tls?: Experiment["serve"]["tls"] | undefined;
  },
  { experiment, run, environment, device, weights, adapter, certificate = "" }: Prepared,
  weightsBytes: number,
): EndpointSpec {
  const { engine, base, host, port, requestsPerMinute, queue, bodyBytes, maxTokens } = serve;
  const tls = tlsOf(serve);
  const under = adaptersUnder(train, adapter).join();
  return {
    schemaVersion,
    experiment,
    run,
    environment,
    device,
    weights,
    template: templateOf(train),
    arguments: { ...renderServing(train), ...(under === "" ? {} : { adapter_name_or_path: under }) },
    artifact: artifactOf(train),
    engine,
    base: base === "auto" ? "auto" : base ? "yes" : "no",
    engineBytes: engineBytes(weightsBytes),
    host,
    port,
    // Left out where it is plain http, as the specs of older releases have it.
    ...(tls === undefined ? {} : { tls: tls === "self-signed" ? tls : { certificate } }),
    limits: { requestsPerMinute, queue, bodyBytes, maxTokens },
  };
}
