import { readdir } from "node:fs/promises";
import { Fault } from "../../recipe/fault.ts";
import type { RunSpec } from "../../recipe/protocol.ts";
import { readRecord } from "../files.ts";
import type { RunPaths } from "./paths.ts";
import { type ReportOf, trainerReport } from "./reports.ts";
import type { NodePlace } from "./trainer.ts";
import { lostPeer } from "./verdict.ts";

/**
 * Which node of the run this Pod is, as Kubeflow Trainer says it in PET_NODE_RANK, PET_MASTER_ADDR and PET_MASTER_PORT; undefined where
 * there is one. Throws Fault `nodes-differ` if these are missing or belong to another number of nodes.
 */
export function nodeOf(
  { processes }: RunSpec,
  environment: Readonly<Record<string, string | undefined>>,
): NodePlace | undefined {
  const nodes = processes?.nodes ?? 1;
  if (nodes === 1) return undefined;
  const { PET_NNODES: told, PET_NODE_RANK: rank, PET_MASTER_ADDR: address, PET_MASTER_PORT: port } = environment;
  const place = { rank: Number(rank ?? NaN), address: address ?? "", port: Number(port ?? NaN) };
  const isWhole = Number.isInteger(place.rank) && place.rank >= 0 && place.rank < nodes && place.port > 0;
  if (isWhole && place.address !== "" && (told === undefined || Number(told) === nodes)) return place;
  const set = `PET_NNODES ${told ?? "-"}, PET_NODE_RANK ${rank ?? "-"}, PET_MASTER_ADDR ${address ?? "-"}, PET_MASTER_PORT ${port ?? "-"}`;
  throw new Fault({
    code: "nodes-differ",
    message: `The run is trained by ${nodes} nodes, and its Pod was told ${set}.`,
    next: "Run `npx tuneup up` again: it declares run and Pods anew.",
    blame: "infrastructure",
  });
}

/**
 * Why several processes that train together ended: the exception of the one that failed first. Those that only lost it say so as well, and
 * mostly earlier than the first one's supervisor looks.
 */
export async function causeOf(
  paths: Pick<RunPaths, "ranks">,
  own: ReportOf<"fault"> | undefined,
): Promise<ReportOf<"fault"> | undefined> {
  const names = await readdir(paths.ranks).catch(() => []);
  const told = await Promise.all(names.map((name) => readRecord(`${paths.ranks}/${name}`, trainerReport)));
  const faults = [own, ...told].filter((report) => report?.kind === "fault");
  const real = faults.filter((report) => !lostPeer(report));
  return (real.length > 0 ? real : faults).toSorted((a, b) => (a.at < b.at ? -1 : 1))[0];
}
