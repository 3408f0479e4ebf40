import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { fileURLToPath } from "node:url";

/** Where a machine finds a service of this one: address and port inside, and the socket of the file system behind which it is. */
export interface Relayed {
  readonly host: string;
  readonly port: number;
  readonly socket: string;
}

/** Lets a network namespace, by the id of a process in it, reach such services. It ends with the namespace. */
export async function openRelay(pid: number, services: readonly Relayed[]): Promise<void> {
  const words = services.map(({ host, port, socket }) => `${host}:${port}=${socket}`);
  // Of the namespace the network alone: the relay is this machine's program, which the machine's files have not.
  const enter = [`--target=${pid}`, "--net", "--", process.execPath, fileURLToPath(import.meta.url), ...words];
  const child = spawn("nsenter", enter, { stdio: ["ignore", "pipe", "inherit"], cwd: "/" });
  const outcome = await Promise.race([once(child.stdout, "data"), once(child, "exit").then(() => undefined)]);
  if (outcome === undefined) throw new Error("The relay of a machine could not be opened.");
  child.stdout.resume();
  child.unref();
}

async function relay(words: readonly string[]): Promise<void> {
  for (const word of words) {
    const [, host = "", port = "", path = ""] = /^(.*):(\d+)=(.*)$/.exec(word) ?? [];
    const server = createServer({ allowHalfOpen: true }, (inner) => {
      const outer = connect({ path, allowHalfOpen: true });
      inner.pipe(outer).pipe(inner);
      inner.once("error", () => outer.destroy());
      outer.once("error", () => inner.destroy());
    });
    server.listen(Number(port), host);
    await once(server, "listening");
  }
  console.log("ready");
}

if (import.meta.main) await relay(process.argv.slice(2));
