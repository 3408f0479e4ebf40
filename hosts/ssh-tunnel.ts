import { once } from "node:events";
import { connect, createServer, type AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Fault } from "../recipe/fault.ts";
import type { Tunnel } from "./host.ts";
import type { SshChild } from "./ssh-child.ts";

/** What opens a tunnel. */
interface Forwarder {
  /** A port of the host's loopback on this machine's `port`, as long as the process lives. */
  forward(port: number, there: number): Promise<SshChild>;
  /** What ssh said, as a Fault. */
  fault(stderr: string): Promise<Fault>;
}

/** Between two looks whether a tunnel is open, and two tries to open it. */
const pollMs = 100;
const retryMs = 1000;

/**
 * Opens a tunnel to a port of the host's loopback. It is opened again when the connection is
 * lost. Throws the Faults of ssh-faults.ts where it can't be opened the first time.
 */
export async function openTunnel(link: Forwarder, there: number): Promise<Tunnel> {
  // Not the host's own number: every endpoint begins at the same, and two tunnels that open at once would both find it free.
  const port = await anyFree();
  const closing = new AbortController();
  let child = await opened(link, port, there);
  const keeping = (async () => {
    for (;;) {
      await ended(child);
      if (closing.signal.aborted) return;
      const next = await again(link, port, there, closing.signal);
      if (next === undefined) return;
      child = next;
    }
  })();
  return {
    port,
    close: async () => {
      closing.abort();
      child.kill("SIGTERM");
      await keeping;
    },
  };
}

async function again(link: Forwarder, port: number, there: number, signal: AbortSignal): Promise<SshChild | undefined> {
  for (;;) {
    await delay(retryMs, undefined, { signal }).catch(() => undefined);
    // Where the way there is not to be had now, it may be later.
    const child = await link.forward(port, there).catch(() => undefined);
    if (child === undefined && signal.aborted) return undefined;
    if (child === undefined) continue;
    if (signal.aborted) child.kill("SIGTERM");
    const open = await Promise.race([listens(port, child), ended(child).then(() => false)]);
    if (open || signal.aborted) return child;
  }
}

async function opened(link: Forwarder, port: number, there: number): Promise<SshChild> {
  const child = await link.forward(port, there);
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  const open = await Promise.race([listens(port, child), ended(child).then(() => false)]);
  if (open) return child;
  throw await link.fault(said);
}

async function ended(child: SshChild): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

/** Until somebody listens on the port; false where the child ended before. */
async function listens(port: number, child: SshChild): Promise<boolean> {
  while (child.exitCode === null && child.signalCode === null) {
    const socket = connect(port, "127.0.0.1");
    const open = await Promise.race([
      once(socket, "connect").then(() => true),
      once(socket, "error").then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (open) return true;
    await delay(pollMs);
  }
  return false;
}

async function anyFree(): Promise<number> {
  const server = createServer().listen({ port: 0, host: "127.0.0.1", exclusive: true });
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
