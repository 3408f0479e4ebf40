import { once } from "node:events";
import { type IncomingMessage, request as httpRequest } from "node:http";
import { mkdir } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { Fault } from "../../recipe/fault.ts";
import type { Layout } from "../../recipe/layout.ts";
import type { EndpointSpec } from "../../recipe/protocol.ts";
import { readRecord } from "../files.ts";
import { withLock } from "../lock.ts";
import { isAlive, spawnDetachedAgent } from "../processes.ts";
import { certificateFacts } from "./certificate.ts";
import { gatewayFiles, gatewayRecord, type GatewayRecord, liveGateway } from "./endpoint-records.ts";
import { lastLines } from "./engine-process.ts";
import { rotateLog } from "./gateway-log.ts";
import { pinnedRequest } from "./pinned-request.ts";
import { findPort, isFree, keepPort, readKeptPort, takenFault, urlOf } from "./ports.ts";
import { isRunning, type ProcessIdentity, signalProcess } from "../process-identity.ts";

/** Starts a gateway that outlives us; returns its pid. A parameter so that tests can start theirs. */
export type LaunchGateway = (layout: Layout, experiment: string) => number | undefined;

export const launchDetached: LaunchGateway = (layout, experiment) =>
  spawnDetachedAgent(
    ["serve", "--data-directory", layout.root, "--experiment", experiment],
    layout.endpoint(experiment).log,
  );

/** A gateway that did not listen by then never will. Node starts in a second, on a machine that trains in ten. */
const startLimit = 60_000;
/** Drain and engines' ends take 10 s at most; then it is killed. */
const stopLimit = 15_000;

/** Starts the gateway of a declared endpoint and waits until it listens. A `port` of 0 is found and kept. */
export async function startGateway(layout: Layout, spec: EndpointSpec, launch: LaunchGateway): Promise<GatewayRecord> {
  await mkdir(layout.locks, { recursive: true, mode: 0o700 });
  // One at a time on this host: two endpoints must not find the same port.
  return withLock(`${layout.locks}/ports.lock`, async () => {
    for (let attempt = 1; ; attempt++) {
      const port = await choosePort(layout, spec);
      rotateLog(layout.endpoint(spec.experiment).log);
      const started = await launchAndWait(layout, spec, launch);
      if (started !== undefined) return started;
      // Somebody else was faster. A port of the user's choice is not replaced by another.
      if (spec.port !== 0 || attempt >= 5) throw takenFault(spec.host, port);
    }
  });
}

async function choosePort(layout: Layout, spec: EndpointSpec): Promise<number> {
  if (spec.port !== 0) {
    if (!(await isFree(spec.host, spec.port))) throw takenFault(spec.host, spec.port);
    return spec.port;
  }
  const path = gatewayFiles(layout, spec.experiment).port;
  const kept = await readKeptPort(path);
  if (kept !== undefined && (await isFree(spec.host, kept))) return kept;
  const port = await findPort(spec.host);
  await keepPort(path, port);
  return port;
}

/** Undefined if the port was taken at the last moment. */
async function launchAndWait(
  layout: Layout,
  spec: EndpointSpec,
  launch: LaunchGateway,
): Promise<GatewayRecord | undefined> {
  const { experiment } = spec;
  const pid = launch(layout, experiment);
  const path = gatewayFiles(layout, experiment).gateway;
  const deadline = performance.now() + startLimit;
  const { certificate } = await certificateFacts(layout, spec);
  while (pid !== undefined && isAlive(pid) && performance.now() < deadline) {
    const record = await readRecord(path, gatewayRecord);
    if (record?.gateway.pid === pid && (await isHealthy(record, certificate))) return record;
    await delay(50);
  }
  const lines = await lastLines(layout.endpoint(experiment).log, 3);
  if (lines.some((line) => line.startsWith("port-taken:"))) return undefined;
  throw new Fault({
    code: "gateway-failed",
    message: `The gateway of ${JSON.stringify(experiment)} did not start: ${lines.join(" / ") || "it left no log."}`,
    next: `Its log is ${layout.endpoint(experiment).log}.`,
    blame: "infrastructure",
  });
}

async function isHealthy({ host, port }: GatewayRecord, certificate: string | undefined): Promise<boolean> {
  const url = new URL("/healthz", urlOf(host, port));
  const options = { signal: AbortSignal.timeout(5000), agent: false } as const;
  try {
    const request = certificate === undefined ? httpRequest(url, options) : pinnedRequest(url, certificate, options);
    request.end();
    const [response] = (await once(request, "response")) as [IncomingMessage];
    response.resume();
    return response.statusCode === 200;
  } catch {
    return false;
  }
}

/** Ends the gateway, if one lives, and its engines: asked first, killed after `patience` ms. */
export async function stopGateway(layout: Layout, experiment: string, patience = stopLimit): Promise<void> {
  const files = gatewayFiles(layout, experiment);
  const record = (await liveGateway(files)) ?? (await readRecord(files.gateway, gatewayRecord));
  if (record === undefined) return;
  if (signalProcess(record.gateway, "SIGTERM") && !(await hasEnded(record.gateway, patience))) {
    signalProcess(record.gateway, "SIGKILL");
    await hasEnded(record.gateway, stopLimit);
  }
  for (const engine of record.engines) signalProcess(engine, "SIGKILL");
}

async function hasEnded(identity: ProcessIdentity, within: number): Promise<boolean> {
  const deadline = performance.now() + within;
  while (isRunning(identity)) {
    if (performance.now() > deadline) return false;
    await delay(50);
  }
  return true;
}
