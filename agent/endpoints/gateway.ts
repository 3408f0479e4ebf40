import { once } from "node:events";
import { parseArgs } from "node:util";
import { setTimeout as delay } from "node:timers/promises";
import { Fault } from "../../recipe/fault.ts";
import { type Layout, layoutOf } from "../../recipe/layout.ts";
import { type EndpointSpec, endpointSpec } from "../../recipe/protocol.ts";
import { isLoopback } from "../../recipe/tls.ts";
import { readRecord } from "../files.ts";
import { type HeldLock, waitForLock } from "../lock.ts";
import { type KeyPair, readPair } from "./certificate.ts";
import { endingError } from "./chat-route.ts";
import { gatewayFiles, gatewayRecord } from "./endpoint-records.ts";
import { engineKinds } from "./engines/availability.ts";
import type { EngineKind } from "./engines/engine-kind.ts";
import { KeyCheck } from "./key.ts";
import { logTo } from "./gateway-log.ts";
import { Rate, WaitingRoom } from "./limits.ts";
import { Metrics } from "./metrics.ts";
import { readKeptPort, takenFault, urlOf } from "./ports.ts";
import { signalProcess } from "../process-identity.ts";
import { createGatewayServer, type GatewayServer } from "./server.ts";
import { ServedModels } from "./served-models.ts";
import { StatusWriter } from "./status-writer.ts";
import { timingFrom, type Timing } from "./timing.ts";

export interface GatewayOptions {
  readonly dataDirectory: string;
  readonly experiment: string;
  /** Folder for what it writes about itself, where it is one of several. Default: the endpoint's, in the data directory. */
  readonly records?: string;
  /** In place of the engine that the spec names; for tests. */
  readonly kind?: EngineKind;
  readonly timing?: Partial<Timing>;
  readonly log?: (line: string) => void;
  readonly freeBytes?: () => Promise<number>;
}

/** A gateway that listens. */
export interface Gateway {
  readonly url: string;
  /** Takes changed limits from the spec on disk. */
  reload(): Promise<void>;
  /** Stops listening, lets answers under way end (for a while), ends the engines, gives up the lock. */
  close(): Promise<void>;
}

/** Opens the gateway of a declared endpoint. Throws Fault if another one lives, or its port is taken. */
export async function openGateway(options: GatewayOptions): Promise<Gateway> {
  const layout = layoutOf(options.dataDirectory);
  const own = gatewayFiles(layout, options.experiment, options.records);
  const lock = await takeLock(own.lock, options.experiment);
  try {
    await endOrphans(own.gateway);
    return await open(options, lock);
  } catch (thrown) {
    lock.release();
    throw thrown;
  }
}

async function open(options: GatewayOptions, lock: HeldLock): Promise<Gateway> {
  const { dataDirectory, experiment, log = sayWithTime } = options;
  const layout = layoutOf(dataDirectory);
  const files = layout.endpoint(experiment);
  const own = gatewayFiles(layout, experiment, options.records);
  const timing = { ...timingFrom(process.env), ...options.timing };
  let spec = await readSpec(files.spec, experiment);
  const kept = await readKeptPort(own.port);
  const port = spec.port === 0 ? (kept ?? 0) : spec.port;
  const room = new WaitingRoom(spec.limits.queue);
  const rate = new Rate(spec.limits.requestsPerMinute);
  const metrics = new Metrics();
  const models: ServedModels = new ServedModels({
    dataDirectory,
    folder: own.directory,
    spec,
    kind: options.kind ?? engineKinds[spec.engine],
    timing,
    room,
    onChange: () => void writer.write(),
    onPoll: () => writer.heal(),
    onRestart: (engine) => metrics.restart(engine),
    ...(options.freeBytes === undefined ? {} : { freeBytes: options.freeBytes }),
  });
  const writer = new StatusWriter({ files: own, port, models, spec: () => spec, log });
  const ending = { begun: false, over: new AbortController() };
  const tls = await pairOf(layout, spec);
  const server = createGatewayServer({
    ...(tls === undefined ? {} : { tls }),
    ...{ layout, models, metrics, rate, room, timing, log },
    key: new KeyCheck(files.key),
    loopback: isLoopback(spec.host),
    limits: () => spec.limits,
    status: () => writer.status(),
    isEnding: () => ending.begun && options.records === undefined,
    isLeaving: () => ending.begun && options.records !== undefined,
    ending: ending.over.signal,
  });
  await listen(server, spec.host, port);
  await writer.write();
  const url = urlOf(spec.host, port, tls !== undefined);
  log(`Listening on ${url}.`);
  models.start();
  return {
    url,
    reload: async () => {
      // Only limits may change under a live gateway; endpoint-declare restarts it for everything else.
      spec = await readSpec(files.spec, experiment);
      rate.perMinute = spec.limits.requestsPerMinute;
      room.seats = spec.limits.queue;
      await writer.write();
    },
    close: async () => {
      ending.begun = true;
      await drain(server, timing.drain, () => ending.over.abort(endingError()));
      await models.stop();
      await writer.write();
      lock.release();
    },
  };
}

function sayWithTime(line: string): void {
  console.log(`${new Date().toISOString()} ${line}`);
}

async function readSpec(path: string, experiment: string) {
  const spec = await readRecord(path, endpointSpec);
  if (spec !== undefined) return spec;
  throw new Fault({ code: "endpoint-unknown", message: `There is no endpoint of ${JSON.stringify(experiment)} here.` });
}

async function pairOf(layout: Layout, spec: EndpointSpec): Promise<KeyPair | undefined> {
  const pair = await readPair(layout, spec);
  if (pair !== undefined || spec.tls === undefined) return pair;
  throw new Fault({
    code: "certificate-missing",
    property: "serve.tls",
    message: "the endpoint's certificate or its private key is not there.",
    next: "Run `npx tuneup up` again.",
  });
}

async function takeLock(path: string, experiment: string): Promise<HeldLock> {
  try {
    // Others hold it for a moment when they look whether we live.
    return await waitForLock(path, { signal: AbortSignal.timeout(2000), pollMs: 50 });
  } catch {
    throw new Fault({ code: "gateway-lives", message: `The gateway of ${JSON.stringify(experiment)} runs already.` });
  }
}

/** Ends what a killed gateway may have left. Only processes that its record names, with their start times. */
async function endOrphans(path: string): Promise<void> {
  const record = await readRecord(path, gatewayRecord);
  for (const engine of record?.engines ?? []) signalProcess(engine, "SIGKILL");
}

async function listen(server: GatewayServer, host: string, port: number): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    server.listen({ host, port, exclusive: true });
    try {
      await once(server, "listening");
      return;
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== "EADDRINUSE") throw thrown;
      if (attempt >= 5) throw takenFault(host, port);
      // Another tuneup that looks for a free port holds each one for a moment.
      await delay(100);
    }
  }
}

/** No new connections; answers under way get `patience` ms, then `cutOff` ends them with a sentence. */
async function drain(server: GatewayServer, patience: number, cutOff: () => void): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const late = new AbortController();
  const wait = (ms: number): Promise<unknown> =>
    delay(ms, undefined, { signal: late.signal }).catch((): undefined => undefined);
  await Promise.race([closed, wait(patience)]);
  cutOff();
  await Promise.race([closed, wait(500)]);
  server.closeAllConnections();
  late.abort();
  await closed;
}

/** Of the seconds between SIGTERM and SIGKILL that a Pod has, those that are kept for the end of the engines. */
const secondsForEngines = 10;

/**
 * `node agent.mjs serve --data-directory D --experiment E [--records DIR [--grace S]]`: the gateway's own process, until SIGTERM. In a Pod
 * its records lie in DIR, its log goes to stdout too, and answers under way have S, its terminationGracePeriodSeconds, less 10.
 */
export async function serve(argv: readonly string[]): Promise<void> {
  const string = { type: "string" } as const;
  const { values } = parseArgs({
    args: [...argv],
    options: { "data-directory": string, experiment: string, records: string, grace: string },
  });
  const { "data-directory": dataDirectory, experiment, records, grace } = values;
  if (dataDirectory === undefined || experiment === undefined) {
    process.stderr.write("Expected: serve --data-directory DIR --experiment NAME [--records DIR [--grace SECONDS]]\n");
    process.exitCode = 2;
    return;
  }
  const pod = records === undefined ? {} : podOptions(layoutOf(dataDirectory), experiment, records);
  const timing =
    grace === undefined ? {} : { timing: { drain: Math.max(0, Number(grace) - secondsForEngines) * 1000 } };
  await runGateway({ dataDirectory, experiment, ...pod, ...timing });
}

function podOptions(layout: Layout, experiment: string, records: string) {
  return { records, log: logTo(gatewayFiles(layout, experiment, records).log) };
}

/** Opens a gateway as this process' only work: SIGTERM and SIGINT end it, SIGHUP takes changed limits. */
export async function runGateway(options: GatewayOptions): Promise<void> {
  let gateway: Gateway;
  try {
    gateway = await openGateway(options);
  } catch (thrown) {
    process.stderr.write(`${thrown instanceof Fault ? `${thrown.code}: ${thrown.sentence}` : String(thrown)}\n`);
    process.exitCode = 1;
    return;
  }
  const end = async (): Promise<void> => {
    await gateway.close();
    process.exit(0);
  };
  process.on("SIGHUP", () => void gateway.reload());
  process.once("SIGTERM", () => void end());
  process.once("SIGINT", () => void end());
}
