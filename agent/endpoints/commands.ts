import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { Fault } from "../../recipe/fault.ts";
import { type Layout, layoutOf } from "../../recipe/layout.ts";
import { type EndpointStatus, endpointStatus } from "../../recipe/lifecycle.ts";
import { type EndpointFacts, type EndpointSpec, endpointSpec } from "../../recipe/protocol.ts";
import type { Context, Handler } from "../context.ts";
import { readRecord, writeJson } from "../files.ts";
import { withLock } from "../lock.ts";
import { keepAgent } from "../own-copy.ts";
import {
  commandsLock,
  emptyStatus,
  gatewayFiles,
  liveGateway,
  readEndpoint,
  specDigest,
  startingInPods,
  withoutGateway,
} from "./endpoint-records.ts";
import { ensureCertificate } from "./certificate.ts";
import { engineFault } from "./engines/availability.ts";
import { type LaunchGateway, launchDetached, startGateway, stopGateway } from "./gateway-process.ts";
import { ensureKey, rotateKey } from "./key.ts";
import { isFree, takenFault } from "./ports.ts";
import { signalProcess } from "../process-identity.ts";
import { readRunStatus } from "./run-watch.ts";

/** Makes the endpoint what the spec says: nothing if it is already, live limits if only they changed, else a restart. */
export const endpointDeclare: Handler<"endpoint-declare"> = (input, context) =>
  declareEndpoint(input, context, launchDetached);

/** endpoint-declare with any way to start a gateway. */
export async function declareEndpoint(
  { dataDirectory, spec, tls }: Parameters<Handler<"endpoint-declare">>[0],
  context: Context,
  launch: LaunchGateway,
): Promise<EndpointFacts> {
  const fault = await engineFault(spec.engine, spec.environment);
  if (fault !== undefined) throw fault;
  const layout = layoutOf(dataDirectory);
  const files = layout.endpoint(spec.experiment);
  await mkdir(files.directory, { recursive: true, mode: 0o700 });
  return withLock(
    commandsLock(layout, spec.experiment),
    async () => {
      await ensureKey(files.key);
      const renewed = await ensureCertificate(layout, spec, tls);
      if (spec.gateway === "pod") await declareForPods(layout, spec);
      else await bringUp(layout, spec, { context, launch, renewed });
      return factsOf(layout, spec.experiment);
    },
    { signal: context.signal },
  );
}

/** The cluster starts its Pods, and other ones when the spec has changed. A gateway of this host's own gives way. */
async function declareForPods(layout: Layout, spec: EndpointSpec): Promise<void> {
  const files = layout.endpoint(spec.experiment);
  const before = await readRecord(files.spec, endpointSpec);
  if (before !== undefined && before.gateway !== "pod") await stopGateway(layout, spec.experiment);
  await keepAgent(files.agent);
  await writeJson(files.spec, spec);
  await writeJson(files.status, startingInPods(spec));
}

interface BringUp {
  readonly context: Context;
  readonly launch: LaunchGateway;
  /** Its certificate is a new one, which a live gateway does not have yet. */
  readonly renewed: boolean;
}

async function bringUp(layout: Layout, spec: EndpointSpec, { context, launch, renewed }: BringUp): Promise<void> {
  const { experiment, host, port } = spec;
  const files = layout.endpoint(experiment);
  const before = await readEndpoint(layout, experiment);
  const live = await liveGateway(gatewayFiles(layout, experiment));
  const gaveUp = before?.facts.status.models.some(({ state }) => state === "failed") ?? false;
  if (live !== undefined && !gaveUp && !renewed) {
    if (live.spec === specDigest(spec)) return;
    if (before !== undefined && live.spec === specDigest({ ...spec, limits: before.spec.limits })) {
      await writeJson(files.spec, spec);
      signalProcess(live.gateway, "SIGHUP");
      return waitForSpec(layout, spec, context.signal);
    }
  }
  const ours = live !== undefined && live.port === port && live.host === host;
  // Found out before the old one is ended: a fault leaves what works.
  if (port !== 0 && !ours && !(await isFree(host, port))) throw takenFault(host, port);
  if (live !== undefined) context.progress({ message: "restarting the endpoint" });
  await stopGateway(layout, experiment);
  await writeJson(files.spec, spec);
  await startGateway(layout, spec, launch);
}

/** Until the live gateway says that it follows this spec. */
async function waitForSpec(layout: Layout, spec: EndpointSpec, signal: AbortSignal): Promise<void> {
  const wanted = specDigest(spec);
  const own = gatewayFiles(layout, spec.experiment);
  for (let waited = 0; (await liveGateway(own))?.spec !== wanted; waited += 50) {
    if (waited > 10_000) {
      throw new Fault({
        code: "gateway-failed",
        message: "The gateway did not take the changed limits.",
        next: "Run `npx tuneup up` again; if it stays so, `npx tuneup down` first.",
        blame: "infrastructure",
      });
    }
    await delay(50, undefined, { signal });
  }
}

/** The endpoint as it is now; null if it was never declared. */
export const endpointRead: Handler<"endpoint-read"> = async ({ dataDirectory, experiment }) => {
  const endpoint = await readEndpoint(layoutOf(dataDirectory), experiment);
  return endpoint === undefined ? null : { ...endpoint.facts, spec: endpoint.spec };
};

/** Follows until `model`, or else every one, is ready or failed. Throws the run's fault if there will be no model, or if nothing runs. */
export const endpointWait: Handler<"endpoint-wait"> = async ({ dataDirectory, experiment, model }, context) => {
  const layout = layoutOf(dataDirectory);
  const startedAt = performance.now();
  for (;;) {
    const facts = await factsOf(layout, experiment);
    const { status } = facts;
    const awaited = status.models.find(
      ({ id, state }) => (model ?? id) === id && state !== "ready" && state !== "failed",
    );
    if (awaited === undefined) return facts;
    if (status.state === "down" || status.state === "stopped") {
      throw new Fault({
        code: "endpoint-down",
        message: `The endpoint of ${JSON.stringify(experiment)} is ${status.state}.`,
        next: "Run `npx tuneup up`.",
        blame: "infrastructure",
      });
    }
    if (status.state === "waiting") await refuseEndedRun(layout, status);
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    context.progress({ message: `${awaited.id}: ${awaited.detail ?? "is coming up."} (${seconds} s)` });
    await delay(500, undefined, { signal: context.signal });
  }
};

async function refuseEndedRun(layout: Layout, { run, detail }: EndpointStatus): Promise<void> {
  const record = await readRunStatus(layout.run(run));
  if (record?.nextPod === true || (record?.state !== "failed" && record?.state !== "stopped")) return;
  throw new Fault({
    code: `run-${record.state}`,
    message: record.fault?.message ?? detail ?? `The run ${run} has ${record.state}.`,
    next: record.fault?.next ?? "`npx tuneup logs` shows its log.",
    ...(record.fault?.blame === undefined ? {} : { blame: record.fault.blame }),
  });
}

/** Ends gateway and engines. Key, spec and port are kept: the next declare brings the same endpoint back. */
export const endpointDelete: Handler<"endpoint-delete"> = (input) => deleteEndpoint(input);

/** endpoint-delete; after `patience` ms (default 15 s) what did not end by itself is killed. */
export async function deleteEndpoint(
  { dataDirectory, experiment }: Parameters<Handler<"endpoint-delete">>[0],
  patience?: number,
): Promise<Record<string, never>> {
  const layout = layoutOf(dataDirectory);
  const files = layout.endpoint(experiment);
  if (!existsSync(files.directory)) return {};
  return withLock(commandsLock(layout, experiment), async () => {
    const spec = await readRecord(files.spec, endpointSpec);
    // Pods are the cluster's to end.
    if (spec?.gateway !== "pod") await stopGateway(layout, experiment, patience);
    const endpoint = await readEndpoint(layout, experiment);
    if (endpoint === undefined) return {};
    const { port } = endpoint.facts.status;
    const recorded = (await readRecord(files.status, endpointStatus)) ?? emptyStatus(endpoint.spec, port);
    const stopped: EndpointStatus = {
      ...withoutGateway(recorded),
      state: "stopped",
      models: recorded.models.map(({ id }) => ({ id, state: "stopped", failures: 0 })),
      updatedAt: new Date().toISOString(),
      detail: "It was taken down; `npx tuneup up` brings it back with the same key.",
    };
    await writeJson(files.status, stopped);
    return {};
  });
}

/** Gives the endpoint a new key. The old one is refused from the next request on; nothing is restarted. */
export const endpointRotateKey: Handler<"endpoint-rotate-key"> = async ({ dataDirectory, experiment }) => {
  const layout = layoutOf(dataDirectory);
  await factsOf(layout, experiment);
  return withLock(commandsLock(layout, experiment), async () => {
    await rotateKey(layout.endpoint(experiment).key);
    return factsOf(layout, experiment);
  });
};

async function factsOf(layout: Layout, experiment: string): Promise<EndpointFacts> {
  const endpoint = await readEndpoint(layout, experiment);
  if (endpoint !== undefined) return endpoint.facts;
  throw new Fault({
    code: "endpoint-unknown",
    message: `There is no endpoint of ${JSON.stringify(experiment)} in ${layout.root}.`,
    next: "Run `npx tuneup up` first.",
  });
}
