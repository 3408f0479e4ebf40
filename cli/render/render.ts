import { extname } from "node:path";
import { engineKinds } from "../../agent/endpoints/engines/availability.ts";
import { engineFolder } from "../../agent/endpoints/engines/engine-kind.ts";
import { toYaml } from "../../agent/runs/to-yaml.ts";
import { runPaths } from "../../agent/runs/paths.ts";
import { standardTiming } from "../../agent/runs/timing.ts";
import { trainerProgram } from "../../agent/runs/trainer.ts";
import { pythonScriptPath } from "../../agent/scripts.ts";
import type { Experiment } from "../../recipe/experiment.ts";
import { layoutOf } from "../../recipe/layout.ts";
import type { EndpointSpec, RunSpec } from "../../recipe/protocol.ts";
import { trainingExtras } from "../../recipe/render.ts";
import { endpointSpecOf, runSpecOf } from "../../recipe/specs.ts";
import type { Foreseen } from "./prepared.ts";

/** A file that the host gets. */
export interface RenderedFile {
  /** Its name in `--out`. */
  readonly name: string;
  /** Its path on the host. */
  readonly path: string;
  readonly text: string;
}

/** A program that the host starts. */
export interface RenderedCommand {
  readonly what: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly words: readonly string[];
}

/** All that an experiment becomes on its host. */
export interface Rendered {
  readonly files: readonly RenderedFile[];
  readonly commands: readonly RenderedCommand[];
  readonly spec: RunSpec;
}

/** The files and commands of an experiment, by the code that makes them on the host. */
export function render(experiment: Experiment, { prepared, serving, datasetInfo }: Foreseen): Rendered {
  const layout = layoutOf(prepared.dataDirectory);
  const spec = runSpecOf(experiment.train, prepared, trainingExtras(experiment.serve));
  const paths = runPaths(layout, spec.run);
  const trainer = trainerProgram({
    ...{ layout, paths, spec, attempt: 1, resume: undefined },
    saveSeconds: standardTiming.save / 1000,
  });
  const info = { name: "dataset_info.json", path: `${prepared.datasetPath}/dataset_info.json` };
  const training: RenderedFile[] = [
    { name: "train.yaml", path: paths.config, text: toYaml(spec.arguments) },
    { ...info, text: `${JSON.stringify(datasetInfo, null, 2)}\n` },
  ];
  const endpoint = experiment.serve.enabled
    ? endpointSpecOf(experiment.train, experiment.serve, { ...prepared, ...serving }, 0)
    : undefined;
  const served = endpoint === undefined ? [] : enginesOf(endpoint, prepared.dataDirectory);
  return {
    files: [...training, ...served.flatMap(({ files }) => files)],
    commands: [
      { what: "Training", environment: trainer.environment, words: [trainer.file, ...trainer.words] },
      ...served.map(({ command }) => command),
    ],
    spec,
  };
}

interface RenderedEngine {
  readonly files: readonly RenderedFile[];
  readonly command: RenderedCommand;
}

/** An engine of its own for each model, as the one of LLaMA-Factory needs it; others serve both from one. */
function enginesOf(spec: EndpointSpec, dataDirectory: string): RenderedEngine[] {
  const kind = engineKinds[spec.engine];
  const layout = layoutOf(dataDirectory);
  const both = [spec.experiment, "base"];
  const wanted = kind.sharesBase ? [both] : spec.base === "no" ? [[spec.experiment]] : both.map((model) => [model]);
  return wanted.map((models) => {
    const folder = engineFolder(layout.endpoint(spec.experiment).directory, models);
    const { program, words, environment, files } = kind.launch({
      ...{ spec, models, folder, output: layout.run(spec.run).output },
      wrapper: pythonScriptPath(layout, kind.script ?? "serve"),
      // Chosen at the start; the key is the gateway's alone.
      port: 0,
      key: "<key>",
    });
    const shown = { ...environment, ...("API_PORT" in environment ? { API_PORT: "<port>" } : {}) };
    const own = models[0] === "base" ? "base" : "own";
    const memory = own === "base" && spec.base === "auto" ? ", where memory allows it" : "";
    return {
      files: files.map(({ path, text }) => ({ name: `infer-${own}${extname(path)}`, path, text })),
      command: { what: `Serving ${models.join(" and ")}${memory}`, environment: shown, words: [program, ...words] },
    };
  });
}

/** A command as a shell takes it: variables, then words. */
export function shellLine({ environment, words }: RenderedCommand): string {
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${quoted(value)}`);
  return [...variables, ...words.map(quoted)].join(" \\\n  ");
}

function quoted(word: string): string {
  return /^[A-Za-z0-9_./:@%+=,<>-]+$/.test(word) && !/[<>]/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
