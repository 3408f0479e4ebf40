import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { json } from "node:stream/consumers";
import { vi } from "vitest";
import type { KubernetesHostSpec } from "../../recipe/host.ts";
import { FakeObjects } from "./fake-objects.ts";
import { FakeWebSocket } from "./fake-websocket.ts";

/** What a stub of an agent command does: its lines are printed and it ends, or it says them and waits for its stdin's end. */
export interface Stub {
  readonly lines: readonly object[];
  readonly stays?: boolean;
}

/** Refuses what the client asks for. */
type Refusal = (method: string, path: string) => { readonly status: number; readonly message: string } | undefined;

/**
 * An API server in this process. Its Pods are this machine: commands that are exec'ed in them run here, in a home of their own, with the
 * data directory in a temporary folder.
 */
export class FakeCluster {
  readonly folder: string;
  readonly objects = new FakeObjects("demo");
  /** Words of every command that was exec'ed. */
  readonly calls: string[] = [];
  /** Method and path of every request. */
  readonly requests: string[] = [];
  /** Agent commands that are answered here. */
  readonly stubs = new Map<string, Stub>();
  refusal: Refusal = () => undefined;
  /** The next `receive` gets so many bytes, then the connection is lost. */
  cutAfter = Infinity;
  /** Since when the last command's output waits for who reads it; undefined while it flows. */
  stalledAt: number | undefined;
  /** Subprotocols of exec. */
  protocols = ["v5.channel.k8s.io"];
  /** Is there a Node in the image? */
  hasNode = true;
  /** Variables of the image. */
  imageVariables: Readonly<Record<string, string>> = {};
  readonly #sockets = new Set<Socket>();
  readonly #wires = new Set<FakeWebSocket>();
  #server: Server;
  #port = 0;

  private constructor(folder: string) {
    this.folder = folder;
    this.#server = this.#makeServer();
  }

  /** Starts it, and sets KUBECONFIG to it for this test's process; `remove` takes both away. */
  static async start(): Promise<FakeCluster> {
    const cluster = new FakeCluster(await mkdtemp(join(tmpdir(), "tuneup-cluster-")));
    await mkdir(join(cluster.folder, "home"));
    await mkdir(join(cluster.folder, "bin"));
    await symlink(process.execPath, join(cluster.folder, "bin/node"));
    await cluster.up();
    vi.stubEnv("KUBECONFIG", join(cluster.folder, "kubeconfig"));
    return cluster;
  }

  get dataDirectory(): string {
    return join(this.folder, "data");
  }

  /** How a host on it is reached. */
  spec(changes: Partial<KubernetesHostSpec> = {}): KubernetesHostSpec {
    return {
      kind: "kubernetes",
      dataDirectory: this.dataDirectory,
      namespace: "demo",
      claim: "tuneup-data",
      claimBytes: 2e10,
      image: "python@sha256:0",
      shareNode: true,
      gpuResource: "nvidia.com/gpu",
      cpu: "2",
      memory: "4Gi",
      offline: true,
      ...changes,
    };
  }

  /** Listens, on the same port as before. */
  async up(): Promise<void> {
    if (!this.#server.listening) {
      this.#server = this.#makeServer();
      this.#server.listen(this.#port, "127.0.0.1");
      await once(this.#server, "listening");
    }
    this.#port = (this.#server.address() as AddressInfo).port;
    const server = `http://127.0.0.1:${this.#port}`;
    const cluster = { server, "insecure-skip-tls-verify": true };
    const context = { cluster: "fake", user: "me" };
    const config = {
      "current-context": "here",
      clusters: [{ name: "fake", cluster }],
      users: [{ name: "me", user: { token: "secret" } }],
      contexts: [
        { name: "here", context },
        { name: "there", context },
      ],
    };
    await writeFile(join(this.folder, "kubeconfig"), JSON.stringify(config));
  }

  /** As an API server that ended. */
  async down(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** Loses all connections to Pods. */
  cutAll(): void {
    for (const wire of this.#wires) wire.cut();
  }

  async remove(): Promise<void> {
    await this.down();
    vi.unstubAllEnvs();
    await rm(this.folder, { recursive: true, force: true });
  }

  #makeServer(): Server {
    const server = createServer((request, response) => void this.#answer(request, response));
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    server.on("upgrade", (request, socket) => this.#upgrade(request, socket));
    return server;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "GET" } = request;
    const url = new URL(request.url ?? "/", "http://cluster");
    this.requests.push(`${method} ${url.pathname}`);
    const body =
      method === "GET" || request.headers["content-length"] === "0"
        ? undefined
        : await json(request).catch(() => undefined);
    const refused = this.refusal(method, url.pathname);
    const answer =
      refused === undefined
        ? this.objects.answer(method, url, body)
        : { status: refused.status, body: { kind: "Status", status: "Failure", message: refused.message } };
    response.writeHead(answer.status, { "content-type": "application/json" });
    response.end(JSON.stringify(answer.body));
  }

  #upgrade(request: IncomingMessage, socket: Duplex): void {
    const url = new URL(request.url ?? "/", "http://cluster");
    const [, name = "", what = ""] = /\/pods\/([^/]+)\/(exec|portforward)$/.exec(url.pathname) ?? [];
    const refused = this.refusal("GET", url.pathname);
    const status = refused?.status ?? (this.objects.isRunning(name) ? undefined : 404);
    if (status !== undefined) {
      socket.end(`HTTP/1.1 ${status} Refused\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    const wire = new FakeWebSocket(request, socket, what === "exec" ? this.protocols : ["v4.channel.k8s.io"]);
    this.#wires.add(wire);
    wire.on("close", () => this.#wires.delete(wire));
    if (what === "exec") this.#exec(wire, url.searchParams.getAll("command"));
    else forwardPort(wire, Number(url.searchParams.get("ports")));
  }

  #exec(wire: FakeWebSocket, words: readonly string[]): void {
    this.calls.push(words.join(" "));
    const stub = this.stubs.get(words[2] ?? "");
    if (stub !== undefined) {
      answerStub(wire, stub);
      return;
    }
    const [program = "", ...rest] = words;
    const home = join(this.folder, "home");
    const path = this.hasNode ? `${join(this.folder, "bin")}:/usr/bin:/bin` : "/usr/bin:/bin";
    const child = spawn(program, rest, { env: { ...this.imageVariables, HOME: home, PATH: path } });
    const limit = words[2] === "receive" ? this.cutAfter : Infinity;
    if (words[2] === "receive") this.cutAfter = Infinity;
    carry(wire, child, limit, (isStalled) => (this.stalledAt = isStalled ? performance.now() : undefined));
  }
}

/** stdin on channel 0, stdout on 1, stderr on 2, the status on 3; channel 255 ends the one that it names. Each waits for the other. */
function carry(
  wire: FakeWebSocket,
  child: ChildProcessWithoutNullStreams,
  limit: number,
  tell: (isStalled: boolean) => void,
): void {
  let taken = 0;
  child.stdin.on("error", () => undefined);
  wire.on("message", (message) => {
    const [channel = 0] = message;
    const data = message.subarray(1);
    taken += data.length;
    if (channel === 255) child.stdin.end();
    else if (taken > limit) wire.cut();
    else if (!child.stdin.write(data)) {
      wire.pause();
      child.stdin.once("drain", () => wire.resume());
    }
  });
  // A command in a Pod lives on: it hears that its stdin ended.
  wire.on("close", () => child.stdin.end());
  for (const [channel, stream] of [
    [1, child.stdout],
    [2, child.stderr],
  ] as const) {
    stream.on("data", (data: Buffer) => {
      if (wire.send(Buffer.concat([Buffer.from([channel]), data]))) return;
      stream.pause();
      tell(true);
      wire.drained(() => {
        tell(false);
        stream.resume();
      });
    });
  }
  child.on("error", (error) => endWith(wire, { status: "Failure", reason: "InternalError", message: error.message }));
  child.on("close", (code, signal) => {
    const exit = code ?? (signal === "SIGKILL" ? 137 : 143);
    const cause = { reason: "ExitCode", message: String(exit) };
    const failure = { status: "Failure", reason: "NonZeroExitCode", details: { causes: [cause] } };
    endWith(wire, exit === 0 ? { status: "Success" } : failure);
  });
}

function answerStub(wire: FakeWebSocket, { lines, stays = false }: Stub): void {
  for (const line of lines) wire.send(Buffer.from(`\x01${JSON.stringify(line)}\n`));
  if (!stays) endWith(wire, { status: "Success" });
  else {
    wire.on("message", ([channel]) => {
      if (channel === 255)
        endWith(wire, {
          status: "Failure",
          reason: "NonZeroExitCode",
          details: { causes: [{ reason: "ExitCode", message: "1" }] },
        });
    });
  }
}

function endWith(wire: FakeWebSocket, status: object): void {
  wire.send(Buffer.from(`\x03${JSON.stringify(status)}`));
  wire.close();
}

function forwardPort(wire: FakeWebSocket, port: number): void {
  const head = Buffer.alloc(2);
  head.writeUInt16LE(port);
  for (const channel of [0, 1]) wire.send(Buffer.concat([Buffer.from([channel]), head]));
  const socket = connect(port, "127.0.0.1");
  socket.on("data", (data) => wire.send(Buffer.concat([Buffer.from([0]), data])));
  socket.on("error", (error) => wire.send(Buffer.from(`\x01${error.message}`)));
  socket.on("close", () => wire.close());
  wire.on("message", (message) => void socket.write(message.subarray(1)));
  wire.on("close", () => socket.destroy());
}
