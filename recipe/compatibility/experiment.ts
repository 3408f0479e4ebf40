import type { z } from "zod";
import type { TrainArguments } from "../arguments.ts";
import type { experimentSchema } from "../experiment-schema.ts";
import type { FaultFacts } from "../fault.ts";
import { adaptersUnder, renderTraining, trainingExtras } from "../render.ts";
import { processesOf, trainsOnOneCard } from "../target.ts";
import { type CompatibilityContext, incompatibilities } from "./index.ts";
import { apply } from "./rule.ts";
import { servingRules, vllmRules } from "./serving.ts";
import { Settings } from "./settings.ts";
import { modelFaults, templateFaults } from "./template.ts";

/** An experiment whose every value passed on its own. */
type Experiment = Omit<z.output<typeof experimentSchema>, "train"> & { readonly train: TrainArguments };

/** Stand for paths that are known on the host alone; no rule looks into them. */
const paths = { weights: "/weights", datasets: "/datasets", output: "/output" };

/** All that an experiment's text tells about what does not go together, judged on what tuneup would give to LLaMA-Factory. */
export function experimentFaults(experiment: Experiment): FaultFacts[] {
  const { model, train, serve } = experiment;
  const template = typeof train["template"] === "string" ? train["template"] : "";
  const unread = modelFaults(model.id);
  return [
    ...unread,
    ...hubIdFaults(model),
    // Its template is right for it.
    ...(unread.length > 0 ? [] : templateFaults(template, model.id)),
    ...bestFaults(experiment),
    ...argumentFaults(experiment),
    ...(serve.enabled ? servingFaults(experiment) : []),
  ];
}

/** Both hubs name a model by its owner and its name. */
function hubIdFaults({ source, id }: Experiment["model"]): FaultFacts[] {
  if (!["hub", "huggingface", "modelscope"].includes(source) || /^[\w.-]+\/[\w.-]+$/.test(id)) return [];
  const message = `must be OWNER/NAME, as ${source === "hub" ? "the hubs name" : "a hub names"} a model; got ${JSON.stringify(id)}.`;
  const next = "Take the id from the model's page, such as Qwen/Qwen2.5-7B-Instruct; a folder has `source: path`.";
  return [{ code: "model-id", property: "model.id", message, next }];
}

/** With device auto only what fails on both devices is an error: `check` and the host know which it is. */
function argumentFaults(experiment: Experiment): FaultFacts[] {
  const { device, gpus = 1 } = experiment.compute;
  const together = processesOf(experiment);
  const several = together === undefined ? gpus : together.nodes * together.perNode;
  const cards = trainsOnOneCard(experiment.target) ? 1 : several;
  const judged = (on: "cpu" | "cuda"): FaultFacts[] =>
    trainingFaults(experiment, { device: on, gpus: cards, distributed: cards > 1 });
  if (device !== "auto") return judged(device);
  const cuda = new Set(judged("cuda").map(({ property, message }) => `${property ?? ""} ${message}`));
  return judged("cpu").filter(({ property, message }) => cuda.has(`${property ?? ""} ${message}`));
}

/** The same for a device that is known. */
export function trainingFaults(experiment: Experiment, context: CompatibilityContext): FaultFacts[] {
  const { model, train, datasets, serve } = experiment;
  const names = datasets.flatMap((source, index) => ("datasetInfo" in source ? source.names : [`dataset_${index}`]));
  const extras = bestFaults(experiment).length > 0 ? {} : trainingExtras(serve);
  const adapter = model.adapter === undefined ? {} : { adapter: model.adapter };
  return incompatibilities(renderTraining(train, names, { ...paths, ...adapter }, context.device, extras), context);
}

const bestMetric: Readonly<Record<string, unknown>> = {
  load_best_model_at_end: true,
  metric_for_best_model: "eval_loss",
  greater_is_better: false,
};

/** What `serve.checkpoint: best` asks of the training. */
function bestFaults({ serve, train }: Experiment): FaultFacts[] {
  if (serve.checkpoint !== "best") return [];
  const settings = new Settings(train);
  const fault = (property: string, message: string, next: string): FaultFacts => ({
    code: "best-checkpoint",
    property,
    message,
    next,
  });
  if (settings.is("eval_strategy", "no")) {
    const next = "Set `train.val_size: 0.1`, `train.eval_strategy: steps` and `train.eval_steps`, or take last.";
    return [fault("serve.checkpoint", "best needs evaluation, and train.eval_strategy is no.", next)];
  }
  const saving = train["save_strategy"];
  if (saving !== undefined && saving !== settings.text("eval_strategy")) {
    const next = "Remove `train.save_strategy`: it follows eval_strategy then.";
    return [
      fault(
        "train.save_strategy",
        `must be that of evaluation, ${settings.text("eval_strategy")}, with serve.checkpoint best; got ${JSON.stringify(saving)}.`,
        next,
      ),
    ];
  }
  return Object.entries(bestMetric)
    .filter(([name, value]) => train[name] !== undefined && train[name] !== value)
    .map(([name, value]) =>
      fault(
        `train.${name}`,
        `is ${JSON.stringify(value)} with serve.checkpoint best; got ${JSON.stringify(train[name])}.`,
        "Remove it, or take `tuneup:serve.checkpoint: last`.",
      ),
    );
}

function servingFaults({ model, train, serve }: Experiment): FaultFacts[] {
  const context = { device: "cuda", gpus: 1 } as const;
  const rules = serve.engine === "vllm" ? [...servingRules, ...vllmRules] : servingRules;
  const faults = apply(rules, train, context, "serving-incompatible");
  if (serve.engine === "huggingface" || adaptersUnder(train, model.adapter).length === 0) return faults;
  return [
    ...faults,
    {
      code: "serving-incompatible",
      property: "model.adapter",
      message: `is merged into the model for the new adapter, and serve.engine ${serve.engine} serves one adapter on the untouched model.`,
      next: "Set `tuneup:serve.engine: huggingface`, or go on in one adapter without `train.create_new_adapter`.",
    },
  ];
}
