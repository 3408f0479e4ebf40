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

/** Further files of an endpoint that only the agent reads. */
export function privateFiles(layout: Layout, experiment: string) {
  const { directory } = layout.endpoint(experiment);
  return {
    /** GatewayRecord: the live (or last) gateway and its engines. */
    gateway: `${directory}/gateway.json`,
    /** The port that was found for `port: 0`. */
    port: `${directory}/port`,
    /** Held while a command changes the endpoint. */
    lock: `${directory}/commands.lock`,
  };
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
export async function liveGateway(layout: Layout, experiment: string): Promise<GatewayRecord | undefined> {
  const { lock } = layout.endpoint(experiment);
  const path = privateFiles(layout, experiment).gateway;
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
 * `down`, a torn one is made anew.
 */
export async function readEndpoint(
  layout: Layout,
  experiment: string,
): Promise<{ readonly spec: EndpointSpec; readonly facts: EndpointFacts } | undefined> {
  const files = layout.endpoint(experiment);
  const spec = await readRecord(files.spec, endpointSpec);
  if (spec === undefined) return undefined;
  const live = await liveGateway(layout, experiment);
  const recorded = await recordedStatus(files.status, live !== undefined);
  const port = live?.port ?? recorded?.port ?? (spec.port || (await keptPort(layout, experiment)));
  const base = recorded ?? emptyStatus(spec, port);
  const status = live === undefined ? whenDead(base) : { ...base, port };
  const models = status.models.map(({ id }) => id);
  const apiKey = (await readKey(files.key)) ?? "";
  const url = urlOf(spec.host, port, spec.tls !== undefined);
  return { spec, facts: { status, url, apiKey, models, ...(await certificateFacts(layout, spec)) } };
}

async function keptPort(layout: Layout, experiment: string): Promise<number> {
  return (await readKeptPort(privateFiles(layout, experiment).port)) ?? 0;
}

/** The status without the process that is gone. */
export function withoutGateway(status: EndpointStatus): EndpointStatus {
  return Object.fromEntries(Object.entries(status).filter(([name]) => name !== "gatewayPid")) as EndpointStatus;
}

function whenDead(status: EndpointStatus): EndpointStatus {
  const rest = withoutGateway(status);
  if (rest.state === "stopped") return rest;
  return {
    ...rest,
    state: "down",
    models: rest.models.map(({ id, failures }) => ({ id, failures, state: "down" as const })),
    detail: "The gateway does not run; `npx tuneup up` starts it.",
  };
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
