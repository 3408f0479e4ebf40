import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { PassThrough } from "node:stream";
import type * as Client from "@kubernetes/client-node";
import type { WebSocketHandler } from "@kubernetes/client-node/dist/web-socket-handler.js";
import type { KubernetesHostSpec } from "../recipe/host.ts";
import { clusterFault, contextUnknown, kubeconfigUnusable, statusOf, type Where } from "./kubernetes-faults.ts";

/** A request that has no answer after so long has none. */
const answerMs = 30_000;

const tokenPath = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/** What we use of a WebSocket of `ws`, whose types are not installed. */
export interface ChannelSocket {
  readonly protocol: string;
  send(data: Buffer, done: (error?: Error) => void): void;
  ping(): void;
  pause(): void;
  resume(): void;
  terminate(): void;
  on(event: "close", listener: (code: number) => void): void;
  on(event: "error", listener: (error: Error) => void): void;
  on(event: "pong", listener: () => void): void;
}

/** Takes what comes on a channel of a WebSocket. */
export type ChannelListener = (channel: number, data: Buffer) => void;

/** One cluster by its API server, and a namespace of it. */
export class Cluster {
  readonly where: Where;
  readonly core: Client.CoreV1Api;
  readonly batch: Client.BatchV1Api;
  readonly storage: Client.StorageV1Api;
  readonly custom: Client.CustomObjectsApi;
  readonly version: Client.VersionApi;
  readonly rights: Client.AuthorizationV1Api;
  readonly #open: (path: string, listener: ChannelListener) => Promise<ChannelSocket>;
  readonly #dispatchers: Map<string, unknown>;

  private constructor(client: typeof Client, handler: WebSocketHandler, where: Where) {
    const { config } = handler;
    this.where = where;
    this.#dispatchers = shareConnections(config);
    this.core = config.makeApiClient(client.CoreV1Api);
    this.batch = config.makeApiClient(client.BatchV1Api);
    this.storage = config.makeApiClient(client.StorageV1Api);
    this.custom = config.makeApiClient(client.CustomObjectsApi);
    this.version = config.makeApiClient(client.VersionApi);
    this.rights = config.makeApiClient(client.AuthorizationV1Api);
    this.#open = async (path, listener) => {
      const take = (channel: number, data: Buffer): boolean => {
        listener(channel, data);
        return true;
      };
      const socket: unknown = await handler.connect(path, null, take);
      return socket as ChannelSocket;
    };
  }

  /**
   * The cluster of a context: from KUBECONFIG, ~/.kube/config, or the Pod that this runs in. The client takes a second to load, so
   * only who needs a cluster loads it. `text`: a kubeconfig to take instead, with a current context. Throws Fault `kubeconfig-unusable`, `context-unknown`. Asks nothing of the cluster.
   */
  static async load(
    { context, namespace }: Pick<KubernetesHostSpec, "context" | "namespace">,
    text?: string,
  ): Promise<Cluster> {
    const file = text === undefined ? kubeconfigFile(process.env) : "the cluster's kubeconfig";
    const client = await import("@kubernetes/client-node");
    // Not exported by its name: `Exec` and `PortForward` around it write on, whether the reader keeps up or not.
    const { WebSocketHandler } = await import("@kubernetes/client-node/dist/web-socket-handler.js");
    const config = new client.KubeConfig();
    try {
      if (text === undefined) config.loadFromDefault();
      else config.loadFromString(text);
    } catch (thrown) {
      throw kubeconfigUnusable(
        `${file} is no kubeconfig: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
      );
    }
    const names = config.getContexts().map(({ name }) => name);
    const wanted = context ?? config.getCurrentContext();
    // What the types call a string is undefined where the file does not say it.
    if (!names.includes(wanted)) throw contextUnknown(context, names, file);
    config.setCurrentContext(wanted);
    const cluster = config.getCurrentCluster();
    if (cluster === null) throw kubeconfigUnusable(`Context ${wanted} of ${file} names a cluster that is not in it.`);
    // It would end our own stdout where a server closes a stream.
    const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
    const handler = new WebSocketHandler(config, undefined, streams);
    return new Cluster(client, handler, { context: wanted, server: cluster.server, namespace });
  }

  /** Waits for the answer to a request. Throws the Faults of kubernetes-faults.ts. */
  async ask<T>(request: Promise<T>): Promise<T> {
    try {
      return await inTime(request, answerMs);
    } catch (thrown) {
      throw clusterFault(thrown, this.where);
    }
  }

  /** The same for what need not be there: undefined where it is not. */
  async find<T>(request: Promise<T>): Promise<T | undefined> {
    return this.ask(
      request.catch((thrown: unknown) => {
        if (statusOf(thrown) === 404) return undefined;
        throw thrown;
      }),
    );
  }

  /** Opens a WebSocket to a path of the API server. `listener` hears from its first message on. */
  async connect(path: string, listener: ChannelListener): Promise<ChannelSocket> {
    const opening = this.#open(path, listener);
    try {
      return await inTime(opening, answerMs);
    } catch (thrown) {
      void opening.then(
        (socket) => socket.terminate(),
        () => undefined,
      );
      throw clusterFault(thrown, this.where);
    }
  }

  /** Lets go of the connections that are kept for further requests. */
  async close(): Promise<void> {
    const kept = [...this.#dispatchers.values()] as ({ close(): Promise<void> } | undefined)[];
    this.#dispatchers.clear();
    for (const dispatcher of kept) await dispatcher?.close();
  }
}

/** The file that is read, for people. Throws Fault where there is none. */
function kubeconfigFile(environment: Readonly<Record<string, string | undefined>>): string {
  const named = (environment["KUBECONFIG"] ?? "").split(delimiter).filter(Boolean);
  const missing = named.find((file) => !existsSync(file));
  if (missing !== undefined) throw kubeconfigUnusable(`KUBECONFIG names ${missing}, which is not there.`);
  if (named.length > 0) return named.join(delimiter);
  const standard = join(environment["HOME"] ?? homedir(), ".kube/config");
  if (existsSync(standard)) return standard;
  if (existsSync(tokenPath)) return "the Pod's service account";
  throw kubeconfigUnusable(`There is no kubeconfig: KUBECONFIG is not set, and ${standard} is not there.`);
}

/** The client makes new connections, with a new TLS handshake, for each request: here requests with the same credentials share them. */
function shareConnections(config: Client.KubeConfig): Map<string, unknown> {
  const known = new Map<string, unknown>();
  const inner = config as unknown as { createDispatcher(cluster: unknown, options: unknown): unknown };
  const create = inner.createDispatcher.bind(config);
  inner.createDispatcher = (cluster, options) => {
    const key = createHash("sha256").update(JSON.stringify(options)).digest("hex");
    const dispatcher = known.has(key) ? known.get(key) : create(cluster, options);
    known.set(key, dispatcher);
    return dispatcher;
  };
  return known;
}

async function inTime<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(Object.assign(new Error(`no answer for ${ms / 1000} s`), { code: "ETIMEDOUT" }));
    }, ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
