import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import type { Layout } from "../../recipe/layout.ts";
import { endpointStatus, type EndpointStatus } from "../../recipe/lifecycle.ts";
import { type EndpointFacts, type EndpointSpec, endpointSpec } from "../../recipe/protocol.ts";
import { readRecord } from "../files.ts";
import { isLocked } from "../lock.ts";
import { certificateFacts } from "./certificate.ts";
import { readKey } from "./key.ts";
import { readKeptPort, urlOf } from "./ports.ts";
import { isRunning, processIdentity } from "../process-identity.ts";

/** Where a gateway in a Pod has the records about itself: there may be several of one endpoint, in Pods side by side. */
export const recordsVariable = "TUNEUP_ENDPOINT_RECORDS";

/**
 * What a gateway writes about itself. `folder`: of a Pod's own; default: as the variable of its Pod says, else the endpoint's in the data
 * directory. Key, spec and certificate always lie in the data directory.
 */
export function gatewayFiles(layout: Layout, experiment: string, folder = process.env[recordsVariable]) {
  const files = layout.endpoint(experiment);
  const directory = folder ?? files.directory;
  const own = (path: string): string => `${directory}${path.slice(files.directory.length)}`;
  return {
    directory,
    /** EndpointStatus, as its gateway sees it. */
    status: own(files.status),
    log: own(files.log),
    /** Held by the live gateway. */
    lock: own(files.lock),
    /** GatewayRecord: the live (or last) gateway and its engines. */
    gateway: `${directory}/gateway.json`,
    /** The port that was found for `port: 0`. */
    port: `${directory}/port`,
  };
}
export type GatewayFiles = ReturnType<typeof gatewayFiles>;

/** Held while a command changes the endpoint. */
export function commandsLock(layout: Layout, experiment: string): string {
  return `${layout.endpoint(experiment).directory}/commands.lock`;
}

/** `gateway.json`: written when the gateway listens and whenever its engines change. */
export const gatewayRecord = z.object({
  gateway: processIdentity,
  host: z.string(),
  port: z.int(),
  /** Digest of the spec that it follows. */
  spec: z.string(),
  engines: z.array(processIdentity),
});
export type GatewayRecord = z.infer<typeof gatewayRecord>;

/** Digest of a spec; the order of keys does not count. */
export function specDigest(spec: EndpointSpec): string {
  return createHash("sha256")
    .update(JSON.stringify(sorted(spec)))
    .digest("hex");
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}

/** How long a live gateway may take to write its record anew; it looks each second. */
const healing = 5000;

/** The record of a gateway that lives; undefined if none does. */
export async function liveGateway({ lock, gateway: path }: GatewayFiles): Promise<GatewayRecord | undefined> {
  for (let waited = 0; ; waited += 200) {
    const record = await readRecord(path, gatewayRecord);
    if (record !== undefined && isRunning(record.gateway)) return record;
    // Held without a true record: it is starting, or the record was torn and is about to be written again.
    if (waited > healing || !existsSync(lock) || !isLocked(lock)) return undefined;
    await delay(200);
  }
}

/** The status on disk; one that is torn under a live gateway is soon written again. */
async function recordedStatus(path: string, lives: boolean): Promise<EndpointStatus | undefined> {
  for (let waited = 0; ; waited += 200) {
    const status = await readRecord(path, endpointStatus);
    if (status !== undefined || !lives || waited > healing) return status;
    await delay(200);
  }
}

/**
 * An endpoint as it is now; undefined if it was never declared. A record that says it lives while no gateway does is
 * `down`, a torn one is made anew. One in Pods is `starting`, unless this is one of them.
 */
export async function readEndpoint(
  layout: Layout,
  experiment: string,
): Promise<{ readonly spec: EndpointSpec; readonly facts: EndpointFacts } | undefined> {
  const files = layout.endpoint(experiment);
  const spec = await readRecord(files.spec, endpointSpec);
  if (spec === undefined) return undefined;
  const own = gatewayFiles(layout, experiment);
  const live = await liveGateway(own);
  const recorded = await recordedStatus(own.status, live !== undefined);
  const port = live?.port ?? recorded?.port ?? (spec.port || ((await readKeptPort(own.port)) ?? 0));
  const base = recorded ?? emptyStatus(spec, port);
  const status = live === undefined ? withoutLive(spec, base) : { ...base, port };
  const models = status.models.map(({ id }) => id);
  const apiKey = (await readKey(files.key)) ?? "";
  const url = urlOf(spec.host, port, spec.tls !== undefined);
  return { spec, facts: { status, url, apiKey, models, ...(await certificateFacts(layout, spec)) } };
}

/** The status without the process that is gone. */
export function withoutGateway(status: EndpointStatus): EndpointStatus {
  return Object.fromEntries(Object.entries(status).filter(([name]) => name !== "gatewayPid")) as EndpointStatus;
}

/** The status where no gateway lives here. One in a Pod can't be seen from elsewhere: it starts, as far as can be told. */
function withoutLive(spec: EndpointSpec, status: EndpointStatus): EndpointStatus {
  const rest = withoutGateway(status);
  if (rest.state === "stopped") return rest;
  if (spec.gateway === "pod") return startingInPods(spec);
  return {
    ...rest,
    state: "down",
    models: rest.models.map(({ id, failures }) => ({ id, failures, state: "down" as const })),
    detail: "The gateway does not run; `npx tuneup up` starts it.",
  };
}

/** An endpoint whose Pods are the cluster's to start. */
export function startingInPods(spec: EndpointSpec): EndpointStatus {
  const status = emptyStatus(spec, spec.port);
  const detail = "Its Pods start.";
  return { ...status, models: status.models.map((model) => ({ ...model, detail })), detail };
}

/** What is known of an endpoint from its spec alone. */
export function emptyStatus(spec: EndpointSpec, port: number): EndpointStatus {
  const { experiment, run, host, base } = spec;
  const ids = base === "no" ? [experiment] : [experiment, "base"];
  return {
    schemaVersion: 1,
    experiment,
    run,
    state: "starting",
    host,
    port,
    models: ids.map((id) => ({ id, state: "starting", failures: 0 })),
    updatedAt: new Date().toISOString(),
    detail: "Its record could not be read and is being written anew.",
  };
}
