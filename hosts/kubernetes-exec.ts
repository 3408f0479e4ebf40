import { EventEmitter } from "node:events";
import { stringify } from "node:querystring";
import { PassThrough, Writable } from "node:stream";
import type { V1Status } from "@kubernetes/client-node";
import { containerName } from "../recipe/kubernetes/pod.ts";
import { Fault } from "../recipe/fault.ts";
import { clusterFault } from "./kubernetes-faults.ts";
import type { ChannelSocket, Cluster } from "./kubernetes-cluster.ts";
import type { RemoteChild } from "./remote-link.ts";

/** Channels of the WebSocket, as v5.channel.k8s.io numbers them. */
const channels = { stdin: 0, stdout: 1, stderr: 2, status: 3, close: 255 } as const;

/** Versions before it can't be told that stdin ended. */
const protocol = "v5.channel.k8s.io";

/** Exit codes of what a signal ended: SIGKILL, SIGTERM. */
const killed = 137;
const terminated = 143;

/** Bytes of one message: what is on its way is then no more than one write of who sends. */
const messageBytes = 64 * 1024;

/** Read ahead of who reads: stopping and starting the wire for each message would cost more than the message. */
const bufferBytes = 1024 * 1024;

/** How a command is watched. */
export interface PodCommandOptions {
  /** Seconds between the questions whether the other end is there. */
  readonly aliveSeconds: number;
  /** Did the Pod's container end? Asked where the command was killed. */
  readonly hasEnded: () => Promise<boolean>;
}

/**
 * A command in a container of a running Pod, by the API server. Emits `close` with its exit code, or with null where the way to it was
 * lost; stderr ends with why. Both directions wait for each other: what is not read there is not read here.
 */
export class PodCommand extends EventEmitter<{ close: [number | null, null] }> implements RemoteChild {
  readonly stdin: Writable;
  readonly stdout = new PassThrough({ highWaterMark: bufferBytes });
  readonly stderr = new PassThrough();
  /** What refused it, where it never started or its way broke. */
  fault: Fault | undefined;
  readonly #cluster: Cluster;
  readonly #opening: Promise<ChannelSocket>;
  readonly #aliveMs: number;
  readonly #hasEnded: () => Promise<boolean>;
  /** Streams that can't take more at the moment. */
  #full = 0;
  #heardAt = performance.now();
  #watch: NodeJS.Timeout | undefined;
  #inputEnded = false;
  /** Settled when it is known what the status means. */
  #status: Promise<void> | undefined;
  #isOver = false;

  constructor(cluster: Cluster, pod: string, words: readonly string[], { aliveSeconds, hasEnded }: PodCommandOptions) {
    super();
    this.#cluster = cluster;
    this.#aliveMs = aliveSeconds * 1000;
    this.#hasEnded = hasEnded;
    this.#opening = this.#open(pod, words);
    this.#opening.catch((thrown: unknown) => this.#end(null, clusterFault(thrown, cluster.where)));
    this.stdin = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        this.#send(chunk).then(() => done(), done);
      },
      final: (done) => {
        this.#endInput().then(() => done(), done);
      },
      destroy: (thrown, done) => {
        this.#endInput().then(
          () => done(thrown),
          () => done(thrown),
        );
      },
    });
    // What can't be written any more is told by the command's end.
    this.stdin.on("error", () => undefined);
  }

  /** Ends the way to it. An agent ends by itself when it hears nobody. */
  kill(): void {
    this.#opening.then(
      (socket) => socket.terminate(),
      () => undefined,
    );
  }

  async #open(pod: string, words: readonly string[]): Promise<ChannelSocket> {
    const { namespace } = this.#cluster.where;
    const query = {
      stdin: true,
      stdout: true,
      stderr: true,
      tty: false,
      container: containerName,
      command: [...words],
    };
    const path = `/api/v1/namespaces/${namespace}/pods/${pod}/exec?${stringify(query)}`;
    const socket = await this.#cluster.connect(path, (channel, data) => this.#take(channel, data));
    if (socket.protocol !== protocol) {
      socket.terminate();
      throw tooOld(socket.protocol, this.#cluster.where.context);
    }
    socket.on("close", (code) => this.#lose(`the connection ended (${code})`));
    socket.on("error", (error) => this.#lose(error.message));
    socket.on("pong", () => (this.#heardAt = performance.now()));
    this.#heardAt = performance.now();
    this.#watch = setInterval(() => this.#look(socket), this.#aliveMs);
    if (this.#full > 0) socket.pause();
    return socket;
  }

  #take(channel: number, data: Buffer): void {
    this.#heardAt = performance.now();
    if (channel === channels.stdout) this.#fill(this.stdout, data);
    else if (channel === channels.stderr) this.#fill(this.stderr, data);
    else if (channel === channels.status && data.length > 0) this.#finish(data);
  }

  /** Hands on what came, and stops the wire while that is not read. */
  #fill(stream: PassThrough, data: Buffer): void {
    if (stream.writableEnded || stream.write(data)) return;
    if (stream.listenerCount("drain") > 0) return;
    this.#full += 1;
    this.#onSocket((socket) => socket.pause());
    stream.once("drain", () => {
      this.#full -= 1;
      this.#heardAt = performance.now();
      if (this.#full === 0) this.#onSocket((socket) => socket.resume());
    });
  }

  #finish(data: Buffer): void {
    const status = JSON.parse(data.toString("utf8")) as V1Status;
    const code = exitCodeOf(status);
    const end = (isLost: boolean): void => {
      const said = code === null ? (status.message ?? "the command could not be started") : undefined;
      this.#end(isLost ? null : code, undefined, isLost ? "its container ended" : said);
    };
    clearInterval(this.#watch);
    this.#onSocket((socket) => socket.terminate());
    // Its own end, or that of all processes there: then it may be repeated elsewhere.
    if (code === killed || code === terminated) {
      this.#status = this.#hasEnded().then(end, () => end(true));
    } else end(false);
  }

  /** The connection broke. After the status that is no loss. */
  #lose(said: string): void {
    if (this.#status === undefined) this.#end(null, undefined, said);
  }

  #end(code: number | null, fault: Fault | undefined, said = fault?.message): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.fault = fault;
    clearInterval(this.#watch);
    this.stdout.end();
    this.stderr.end(said === undefined ? "" : `${said}\n`);
    this.stdin.destroy();
    setImmediate(() => this.emit("close", code, null));
  }

  /** While nothing is read here, nothing can be heard. */
  #look(socket: ChannelSocket): void {
    if (this.#isOver) {
      clearInterval(this.#watch);
      return;
    }
    if (this.#full > 0) this.#heardAt = performance.now();
    if (performance.now() - this.#heardAt > 3 * this.#aliveMs) {
      this.#end(null, undefined, `no sign of life for ${Math.round((3 * this.#aliveMs) / 1000)} s`);
      socket.terminate();
    } else socket.ping();
  }

  /** Returns when the bytes left this process: until then the writer waits. */
  async #send(chunk: Buffer): Promise<void> {
    const socket = await this.#opening;
    for (let sent = 0; sent < chunk.length; sent += messageBytes) {
      await message(socket, channels.stdin, chunk.subarray(sent, sent + messageBytes));
      this.#heardAt = performance.now();
    }
  }

  async #endInput(): Promise<void> {
    if (this.#inputEnded || this.#isOver) return;
    this.#inputEnded = true;
    await message(await this.#opening, channels.close, Buffer.from([channels.stdin]));
  }

  #onSocket(work: (socket: ChannelSocket) => void): void {
    this.#opening.then(work, () => undefined);
  }
}

function message(socket: ChannelSocket, channel: number, data: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(Buffer.concat([Buffer.from([channel]), data]), (error) => {
      if (error instanceof Error) reject(error);
      else resolve();
    });
  });
}

/** The exit code; null where there is none, since the command could not be run to its end. */
function exitCodeOf({ status, reason, details }: V1Status): number | null {
  if (status === "Success") return 0;
  const told = details?.causes?.find((cause) => cause.reason === "ExitCode")?.message;
  return reason === "NonZeroExitCode" && told !== undefined ? Number(told) : null;
}

function tooOld(spoken: string, context: string): Fault {
  return new Fault({
    code: "cluster-too-old",
    property: "kubernetes.context",
    message: `The API server of ${context} speaks ${spoken || "no protocol"} for commands, not ${protocol}.`,
    next: "It needs Kubernetes 1.30 or newer.",
  });
}
