import type { CheckFinding } from "../recipe/check-report.ts";
import { type Card, cardOf, cards, hasBf16 } from "../recipe/estimates/cards.ts";
import type { Experiment } from "../recipe/experiment.ts";
import { nearest } from "../recipe/nearest.ts";
import type { CommandOutput } from "../recipe/protocol.ts";
import { onCluster, processesOf, trainsOnOneCard } from "../recipe/target.ts";

/** What the host told of itself. */
export type HostFacts = Pick<
  CommandOutput<"preflight">,
  | ("gpus" | "memoryBytes" | "diskFreeBytes" | "platform" | "arch" | "environment" | "engineEnvironment")
  | ("python" | "unwritable" | "driverTrouble" | "egress")
>;

/** What an experiment will train on. */
export interface Hardware {
  readonly device: "cpu" | "cuda";
  /** Undefined for a CPU, and for a card that is not in our table. */
  readonly card: Card | undefined;
  /** For people: `H100-80GB`, `this machine's memory`. */
  readonly name: string;
  /** Memory of one card, or the machine's own; undefined where neither file nor host tells. */
  readonly memoryBytes: number | undefined;
  readonly gpus: number;
  /** Where the memory is known from. */
  readonly basis: string;
}

/** What trains: what the experiment says, else what the host has. */
export function hardwareOf({ compute, target }: Experiment, host: HostFacts | undefined): Hardware {
  // A cluster may not tell: 0 bytes are an unknown amount.
  const [own] = (host?.gpus ?? []).filter(({ memoryBytes }) => memoryBytes > 0);
  const gpus = cardsOf({ compute, target }, host);
  const stated = compute.gpuMemoryGiB === undefined ? undefined : compute.gpuMemoryGiB * 2 ** 30;
  const named = compute.gpu ?? own?.name;
  // A cluster can't be asked what it has, and a machine for aws is not there yet; both have a GPU.
  const hostTells = !onCluster(target) && (target !== "aws" || host !== undefined);
  const isUnknown = named === undefined && stated === undefined && hostTells;
  if (compute.device === "cpu" || isUnknown) {
    const basis = "the machine's memory";
    const processes = onCluster(target) ? gpus : 1;
    return {
      device: "cpu",
      card: undefined,
      name: "the CPU",
      memoryBytes: host?.memoryBytes || undefined,
      gpus: processes,
      basis,
    };
  }
  const card = named === undefined ? undefined : cardOf(named, compute.gpu === undefined ? own?.memoryBytes : stated);
  const table = card === undefined ? undefined : card.memoryGiB * 2 ** 30;
  const ofHost = compute.gpu === undefined ? own?.memoryBytes : undefined;
  const basis =
    stated !== undefined ? "compute.gpuMemoryGiB" : ofHost !== undefined ? "nvidia-smi" : "the table of cards, 2026-11";
  return {
    device: "cuda",
    card,
    name: card?.name ?? named ?? "the card",
    memoryBytes: stated ?? ofHost ?? table,
    gpus,
    basis,
  };
}

/** Cards that train together; on a cluster processes, which are as many on CPUs. */
function cardsOf({ compute, target }: Pick<Experiment, "compute" | "target">, host: HostFacts | undefined): number {
  if (trainsOnOneCard(target)) return 1;
  if (!onCluster(target)) return compute.gpus ?? host?.gpus.length ?? 1;
  const { nodes, perNode } = processesOf({ compute, target }) ?? { nodes: 1, perNode: 1 };
  return nodes * perNode;
}

/** Is the card known, and can it compute in what the experiment asks for? */
export function cardFindings(experiment: Experiment, { card, device, name, memoryBytes }: Hardware): CheckFinding[] {
  const { compute, train } = experiment;
  if (device === "cpu") return [];
  if (card === undefined && compute.gpu === undefined && onCluster(experiment.target)) {
    const message = "The cluster does not tell which GPU its nodes have: memory and time are not estimated.";
    const next = "Say `tuneup:compute: {gpu: H100-80GB}`, or whichever it is.";
    return [{ area: "memory", level: "warning", code: "card-unknown", property: "compute.gpu", message, next }];
  }
  if (card === undefined) {
    const names = cards.map((known) => known.name);
    const close = nearest(name, names);
    const next = `${close.length > 0 ? `Did you mean ${close.join(" or ")}? ` : ""}Say compute.gpuMemoryGiB for a card that is not listed.`;
    const finding = { area: "memory", code: "card-unknown", property: "compute.gpu" } as const;
    if (memoryBytes !== undefined) {
      const message = `${name} is not in the table of cards: whether it has bf16 is not known.`;
      return [{ ...finding, level: "warning", message, next: `Known are ${names.join(", ")}.` }];
    }
    const message = `must be a card that is known, such as ${names.join(", ")}; got ${JSON.stringify(compute.gpu)}.`;
    return [{ ...finding, level: "error", message, next }];
  }
  const asked = ["bf16", "pure_bf16"].find((argument) => train[argument] === true);
  if (asked === undefined || hasBf16(card)) return [];
  return [
    {
      area: "memory",
      level: "error",
      code: "bf16-unsupported",
      property: `train.${asked}`,
      message: `needs an Ampere card or a later one (compute capability 8.0); ${card.name} has ${card.capability.toFixed(1)}.`,
      basis: "NVIDIA's list of CUDA GPUs, 2026-11",
      next: "Set `train.fp16: true` instead, or `train.quantization_bit: 4` with fp16 (QLoRA).",
    },
  ];
}
