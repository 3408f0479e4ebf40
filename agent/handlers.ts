import type { CommandName } from "../recipe/protocol.ts";
import type { Handler } from "./context.ts";

/** Loads only what a command needs: most of them run many times in a `pulumi preview`. */
export const handlers: { readonly [N in CommandName]: () => Promise<Handler<N>> } = {
  preflight: async () => (await import("./preflight.ts")).preflight,
  "environment-ensure": async () => (await import("./environment/commands.ts")).environmentEnsure,
  "environment-read": async () => (await import("./environment/commands.ts")).environmentRead,
  "weights-ensure": async () => (await import("./weights/commands.ts")).weightsEnsure,
  "weights-read": async () => (await import("./weights/commands.ts")).weightsRead,
  "weights-adopt": async () => (await import("./weights/adopt.ts")).weightsAdopt,
  "dataset-ensure": async () => (await import("./datasets/commands.ts")).datasetEnsure,
  "dataset-read": async () => (await import("./datasets/commands.ts")).datasetRead,
  "dataset-sample": async () => (await import("./datasets/sample.ts")).datasetSampleCommand,
  "run-declare": async () => (await import("./runs/commands.ts")).runDeclare,
  "run-read": async () => (await import("./runs/commands.ts")).runRead,
  "run-wait": async () => (await import("./runs/commands.ts")).runWait,
  "run-stop": async () => (await import("./runs/commands.ts")).runStop,
  "run-list": async () => (await import("./runs/commands.ts")).runList,
  "run-curve": async () => (await import("./runs/commands.ts")).runCurve,
  "endpoint-declare": async () => (await import("./endpoints/commands.ts")).endpointDeclare,
  "endpoint-read": async () => (await import("./endpoints/commands.ts")).endpointRead,
  "endpoint-wait": async () => (await import("./endpoints/commands.ts")).endpointWait,
  "endpoint-delete": async () => (await import("./endpoints/commands.ts")).endpointDelete,
  "endpoint-rotate-key": async () => (await import("./endpoints/commands.ts")).endpointRotateKey,
  "files-state": async () => (await import("./transfer/commands.ts")).filesState,
  usage: async () => (await import("./housekeeping.ts")).usage,
  purge: async () => (await import("./housekeeping.ts")).purge,
  logs: async () => (await import("./housekeeping.ts")).logs,
};
