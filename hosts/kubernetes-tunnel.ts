import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { stringify } from "node:querystring";
import type { Tunnel } from "./host.ts";
import type { Cluster } from "./kubernetes-cluster.ts";

/** Channels of a port-forward's one port. Each begins with the port's number in two bytes. */
const [dataChannel, errorChannel] = [0, 1];
const portBytes = 2;

/** Between two signs of life to what is in between; load balancers let go of a silent connection after a minute. */
const pingMs = 20_000;

/**
 * A port of this machine's loopback, the same as there if that is free; each connection to it goes to the Pod that `choose` names then, so
 * a Pod may be replaced by another. A connection that finds none is closed.
 */
export async function openPodTunnel(cluster: Cluster, port: number, choose: () => Promise<string>): Promise<Tunnel> {
  const open = new Set<Socket>();
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => socket.destroy());
    forward(cluster, port, choose, socket).catch(() => socket.destroy());
  });
  const here = await listening(server, port).catch(() => listening(server, 0));
  return {
    port: here,
    close: async () => {
      const closed = once(server, "close");
      server.close();
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

async function forward(cluster: Cluster, port: number, choose: () => Promise<string>, socket: Socket): Promise<void> {
  const pod = await choose();
  const { namespace } = cluster.where;
  const path = `/api/v1/namespaces/${namespace}/pods/${pod}/portforward?${stringify({ ports: port })}`;
  const headless = new Set<number>();
  const listener = (channel: number, data: Buffer): void => {
    const bytes = headless.has(channel) ? data : data.subarray(portBytes);
    headless.add(channel);
    if (bytes.length === 0) return;
    // Nobody listens there, or the Pod is gone.
    if (channel === errorChannel) socket.destroy();
    else if (channel === dataChannel && !socket.write(bytes)) {
      void opening.then((wire) => wire.pause());
      socket.once("drain", () => void opening.then((wire) => wire.resume()));
    }
  };
  const opening = cluster.connect(path, listener);
  const opened = await opening;
  if (socket.destroyed) opened.terminate();
  const ping = setInterval(() => opened.ping(), pingMs);
  opened.on("error", () => socket.destroy());
  opened.on("close", () => {
    clearInterval(ping);
    socket.end();
  });
  socket.on("close", () => opened.terminate());
  socket.on("data", (data: Buffer) => {
    socket.pause();
    opened.send(Buffer.concat([Buffer.from([dataChannel]), data]), () => socket.resume());
  });
  socket.resume();
}

async function listening(server: Server, port: number): Promise<number> {
  server.listen({ port, host: "127.0.0.1", exclusive: true });
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}
