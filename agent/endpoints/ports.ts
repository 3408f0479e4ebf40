import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { Fault } from "../../recipe/fault.ts";
import { isMissing, writeAtomically } from "../files.ts";

/** The first port that `serve.port: 0` tries. */
export const firstPort = 8400;
const lastPort = 8599;

/** Can this host listen there now? Throws Fault for an address that is not this machine's. */
export async function isFree(host: string, port: number): Promise<boolean> {
  try {
    await close(await listen(host, port));
    return true;
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code === "EADDRINUSE") return false;
    throw addressFault(host, port, code);
  }
}

/** The first free port from `firstPort` on. */
export async function findPort(host: string): Promise<number> {
  for (let port = firstPort; port <= lastPort; port++) {
    if (await isFree(host, port)) return port;
  }
  throw new Fault({
    code: "port-taken",
    property: "serve.port",
    message: `every port from ${firstPort} to ${lastPort} is taken on ${host}.`,
    next: "Set serve.port to a free one, or end what listens there.",
  });
}

/** A free port on loopback that the system picks, for an engine. */
export async function privatePort(): Promise<number> {
  const server = await listen("127.0.0.1", 0);
  const address = server.address();
  await close(server);
  return typeof address === "object" && address !== null ? address.port : 0;
}

export function takenFault(host: string, port: number): Fault {
  return new Fault({
    code: "port-taken",
    property: "serve.port",
    message: `${port} on ${host} is taken by another process.`,
    next: `Set serve.port to a free port, or to 0 for the first free one from ${firstPort} on; \`ss -ltnp\` shows who holds it.`,
  });
}

function addressFault(host: string, port: number, code: string | undefined): Fault {
  if (code === "EACCES") {
    return new Fault({
      code: "port-refused",
      property: "serve.port",
      message: `${port} may not be used by this user.`,
      next: "Set serve.port to one from 1024 on.",
    });
  }
  return new Fault({
    code: "address-unknown",
    property: "serve.host",
    message: `this machine can't listen on ${host} (${code ?? "unknown reason"}).`,
    next: "Set serve.host to 127.0.0.1, or to an address of this machine.",
  });
}

function listen(host: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ host, port, exclusive: true }, () => resolve(server));
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/** The port that an endpoint got when it asked for any; kept so that its address stays. */
export async function readKeptPort(path: string): Promise<number | undefined> {
  try {
    const port = Number((await readFile(path, "utf8")).trim());
    return Number.isInteger(port) && port > 0 && port < 65536 ? port : undefined;
  } catch (thrown) {
    if (isMissing(thrown)) return undefined;
    throw thrown;
  }
}

export function keepPort(path: string, port: number): Promise<void> {
  return writeAtomically(path, `${port}\n`);
}

/** The address that a browser or client on this machine uses. */
export function urlOf(host: string, port: number, tls = false): string {
  const reachable = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  return `${tls ? "https" : "http"}://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}`;
}
