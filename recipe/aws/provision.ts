import { Settings } from "../compatibility/settings.ts";
import { cardOf } from "../estimates/cards.ts";
import { bundledShape } from "../estimates/bundled.ts";
import { diskOf } from "../estimates/disk.ts";
import { memoryOf } from "../estimates/memory.ts";
import type { ModelShape } from "../estimates/model-config.ts";
import { type Training, trainingOf } from "../estimates/training.ts";
import type { Experiment } from "../experiment.ts";
import { Fault } from "../fault.ts";
import { renderTraining } from "../render.ts";
import { engineOf } from "../engines.ts";
import { variantsFor } from "../variants.ts";
import { type Choice, chooseMachine, type MachineNeed, spotTypes, volumeSizeGiB } from "./choose.ts";
import { awsConfig } from "./config.ts";
import { leaseHours } from "./lease-hours.ts";
import { costOf, networkOf } from "./prices.ts";

/** What is provisioned for an experiment, as far as its config decides it. */
export interface Provision {
  /** Name of the instance type, such as g6.xlarge. */
  readonly instanceType: string;
  /** With spot capacity: all that AWS may choose from, the best first. Default: that one alone. */
  readonly instanceTypes?: readonly string[];
  /** Size of the data volume. */
  readonly volumeGiB: number;
  /** Hours of the machine's lease: those of `aws.lease.hours`, fewer where `aws.lease.usd` are spent before. */
  readonly leaseHours: number;
}

type Asked = Pick<Experiment, "aws" | "compute" | "model" | "train" | "serve" | "teardown">;

/** Stand for paths that decide no figure. */
const paths = { weights: "/weights", datasets: "/datasets", output: "/output" };

/** What a training asks of a machine. `train` has all that LLaMA-Factory gets. */
export function machineNeed(
  { compute, train }: Pick<Experiment, "compute" | "train">,
  { shape, training }: { readonly shape: ModelShape; readonly training: Training },
): MachineNeed {
  return { ...askedOf({ compute, train }), gpus: training.gpus, memoryBytes: memoryOf(shape, training).total };
}

/**
 * Machine and volume of an experiment, which trains on one card, by what its file says alone: the same at every `up`, whatever was fetched meanwhile. Throws Fault
 * `aws-machine-none` where no instance type fits, `aws-model-unknown` where the model's shape is not bundled and the file does not say what to take.
 */
export function provisionOf(experiment: Asked): Provision {
  const { aws, compute, model, train } = experiment;
  const config = awsConfig(aws);
  const shape = bundledShape(model.id);
  if (shape === undefined) return statedProvision(experiment);
  const rendered = renderTraining(train, [], paths, "cuda");
  const training = trainingOf(rendered, shape, 1);
  const choice = chooseMachine(machineNeed({ compute, train: rendered }, { shape, training }), config);
  const parts = { train: rendered, variants: variantsFor(train), engine: engineOf(experiment) };
  const disk = diskOf(shape, training, { ...parts, steps: undefined, tokens: 0 });
  const { sizeGiB } = config.volume;
  return provisionWith(choice, sizeGiB === "auto" ? volumeSizeGiB(disk.total) : sizeGiB, experiment);
}

function provisionWith(choice: Choice, volumeGiB: number, { aws, compute }: Pick<Asked, "aws" | "compute">): Provision {
  const config = awsConfig(aws);
  const { type } = choice;
  if (type === undefined) throw noMachine();
  const offered = config.spot ? spotTypes(choice, config) : [type];
  const dearest = Math.max(...offered.map(({ usdPerHour }) => usdPerHour));
  const cost = costOf({
    ...{ machineHour: compute.pricePerHour ?? dearest, volumeGiB, volumeType: config.volume.type, spot: config.spot },
    ...networkOf(config),
  });
  return {
    ...{ instanceType: type.name, volumeGiB, leaseHours: leaseHours(config.lease, cost.hour) },
    ...(config.spot ? { instanceTypes: offered.map(({ name }) => name) } : {}),
  };
}

/** Of a model whose shape nobody knows here: what the file says. */
function statedProvision({ aws, compute, model, train }: Asked): Provision {
  const config = awsConfig(aws);
  const rendered = renderTraining(train, [], paths, "cuda");
  const need = { ...askedOf({ compute, train: rendered }), gpus: 1, memoryBytes: 0 };
  const said = config.instanceTypes !== undefined || config.gpuMemoryGiB !== "auto";
  const { sizeGiB } = config.volume;
  if (!said || sizeGiB === "auto") {
    throw new Fault({
      code: "aws-model-unknown",
      property: said ? "aws.volume.sizeGiB" : "aws.instanceTypes",
      message: `is needed for ${model.id}, whose config.json is not bundled: its machine and disk can't be estimated the same way at every \`up\`.`,
      next: "Say `aws.instanceTypes` and `aws.volume.sizeGiB`; `npx tuneup check` proposes both.",
    });
  }
  return provisionWith(chooseMachine(need, config), sizeGiB, { aws, compute });
}

function askedOf({ compute, train }: Pick<Experiment, "compute" | "train">): Pick<MachineNeed, "bf16" | "gpu"> {
  const settings = new Settings(train);
  return {
    bf16: settings.on("bf16") || settings.on("pure_bf16"),
    gpu: compute.gpu === undefined ? undefined : (cardOf(compute.gpu)?.name ?? compute.gpu),
  };
}

function noMachine(): Fault {
  return new Fault({
    code: "aws-machine-none",
    property: "aws",
    message: "no known instance type fits this training.",
    next: "`npx tuneup check` says what is needed and what each type has.",
  });
}
