import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { connect } from "../../hosts/connect.ts";
import { Cluster } from "../../hosts/kubernetes-cluster.ts";
import { PodCommand } from "../../hosts/kubernetes-exec.ts";
import { agentBundle } from "../../hosts/remote-bootstrap.ts";
import { FakeCluster } from "./fake-cluster.ts";
import { ended, running } from "./fake-objects.ts";

let cluster: FakeCluster;

beforeEach(async () => {
  cluster = await FakeCluster.start();
  vi.stubEnv("TUNEUP_KUBERNETES_POLL_MS", "20");
});
afterEach(() => cluster.remove());

const digest = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
const agentJobs = (): number =>
  cluster.requests.filter((one) => one.startsWith("POST") && one.endsWith("/jobs")).length;

async function fileOf(name: string, size: number) {
  const bytes = randomBytes(size);
  const folder = join(cluster.folder, "here");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, name), bytes);
  return { folder, bytes, digest: { path: name, bytes: size, sha256: digest(bytes) } };
}

/** A Node of some bytes in place of the 100 MB that would be sent: it starts the real one. */
async function smallNode(): Promise<() => void> {
  const real = process.execPath;
  const path = join(cluster.folder, "small-node");
  await writeFile(path, `#!/bin/sh\nexec '${real}' "$@"\n`, { mode: 0o700 });
  process.execPath = path;
  return () => (process.execPath = real);
}

describe("a namespace of a cluster", () => {
  it("gets one Pod for all who ask at once, the agent once, and Node where the image has none", async () => {
    cluster.hasNode = false;
    const restore = await smallNode();
    const host = await connect(cluster.spec());
    expect(host.description).toBe("here/demo");
    expect(agentJobs()).toBe(0);
    const said: string[] = [];
    const onProgress = ({ message }: { message: string }): void => void said.push(message);
    const ask = () => host.run("run-list", { experiment: "none" }, { onProgress });
    expect(await Promise.all([ask(), ask()])).toEqual([[], []]);
    expect(await ask()).toEqual([]);
    expect(agentJobs()).toBe(1);
    expect(said).toContain("starting a Pod for commands");
    expect(said.some((line) => line.startsWith("pushing Node 24 to here/demo"))).toBe(true);
    expect(cluster.calls.filter((call) => call.includes("gzip -dc"))).toHaveLength(1);
    const { mode } = await stat(join(host.dataDirectory, "agent"));
    expect(mode & 0o077).toBe(0);
    restore();
  });

  it("takes Node and the agent from an image that has them: nothing is brought to the volume", async () => {
    const { path, sha256 } = agentBundle();
    const brought = join(cluster.folder, "image/agent", sha256.slice(0, 12));
    await mkdir(brought, { recursive: true });
    await copyFile(path, join(brought, "agent.mjs"));
    cluster.imageVariables = { TUNEUP_IMAGE: join(cluster.folder, "image") };
    const host = await connect(cluster.spec());
    expect(await host.run("run-list", { experiment: "none" })).toEqual([]);
    const last = cluster.calls.at(-1);
    expect(last).toBe(`${join(cluster.folder, "bin/node")} ${join(brought, "agent.mjs")} run-list --lifeline`);
    for (const folder of ["agent", "tools"]) expect(existsSync(join(host.dataDirectory, folder)), folder).toBe(false);
  });

  it("lets that Pod pass the restricted standard, beside what else uses the volume, and end by itself", async () => {
    const host = await connect(cluster.spec({ nodeSelector: { disk: "ssd" } }));
    await host.run("run-list", { experiment: "none" });
    const [job] = [...cluster.objects.jobs.values()];
    expect(job).toMatchObject({
      metadata: { labels: { "tuneup.dev/role": "agent", "app.kubernetes.io/managed-by": "tuneup" } },
      spec: {
        backoffLimit: 0,
        ttlSecondsAfterFinished: 30,
        template: {
          spec: {
            automountServiceAccountToken: false,
            restartPolicy: "Never",
            nodeSelector: { disk: "ssd" },
            securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
            containers: [{ securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } } }],
          },
        },
      },
    });
    await host.close();
    expect(cluster.objects.jobs.size).toBe(1);
  });

  it("takes another Pod where the first one ended, and deletes it after what takes things down", async () => {
    const host = await connect(cluster.spec());
    await host.run("run-list", { experiment: "none" });
    for (const pod of cluster.objects.pods.values()) pod.status = ended("Completed", 0);
    expect(await host.run("run-list", { experiment: "none" })).toEqual([]);
    expect(agentJobs()).toBe(2);
    await host.run("endpoint-delete", { experiment: "none" });
    await host.close();
    expect(cluster.objects.jobs.size).toBe(1);
    expect(cluster.requests.at(-1)).toMatch(/^DELETE .*\/jobs\/tuneup-agent-/);
  });

  it("tells the agent's faults as they are", async () => {
    const host = await connect(cluster.spec());
    await expect(host.run("run-wait", { run: "none-0123456789ab" })).rejects.toMatchObject({ code: "run-unknown" });
  });

  it("repeats a command after a lost connection, and says so", async () => {
    const host = await connect(cluster.spec());
    await host.run("run-list", { experiment: "none" });
    cluster.stubs.set("run-curve", { lines: [{ type: "progress", progress: { message: "half" } }], stays: true });
    const said: string[] = [];
    const curve = host.run(
      "run-curve",
      { run: "none" },
      {
        onProgress: ({ message }) => {
          said.push(message);
          if (message !== "half") return;
          cluster.stubs.set("run-curve", { lines: [{ type: "result", value: { metrics: [], events: [] } }] });
          cluster.cutAll();
        },
      },
    );
    expect(await curve).toEqual({ metrics: [], events: [] });
    expect(said).toEqual(["half", "the connection to here/demo is lost; trying again"]);
  });

  it("waits for an API server that is away", async () => {
    const host = await connect(cluster.spec());
    await host.run("run-list", { experiment: "none" });
    await cluster.down();
    const options = { onProgress: () => void cluster.up() };
    expect(await host.run("run-list", { experiment: "none" }, options)).toEqual([]);
  });

  it("goes on in another Pod where the node took the first one away", async () => {
    const host = await connect(cluster.spec());
    await host.run("run-list", { experiment: "none" });
    cluster.stubs.set("run-curve", { lines: [{ type: "progress", progress: { message: "half" } }], stays: true });
    const onProgress = ({ message }: { message: string }): void => {
      if (message !== "half") return;
      cluster.stubs.clear();
      cluster.objects.drain();
      cluster.cutAll();
    };
    const curve = host.run("run-curve", { run: "none" }, { onProgress });
    expect(await curve).toEqual({ metrics: [], events: [] });
    expect(agentJobs()).toBe(2);
  });

  it("gives up when it is told to", async () => {
    const host = await connect(cluster.spec());
    cluster.stubs.set("logs", { lines: [{ type: "progress", progress: { message: "follows" } }], stays: true });
    const giveUp = new AbortController();
    const input = { experiment: "x", of: "run", follow: true, lines: 0 } as const;
    const logs = host.run("logs", input, { signal: giveUp.signal, onProgress: () => giveUp.abort() });
    await expect(logs).rejects.toMatchObject({ code: "cancelled" });
  });
});

describe("a command in a Pod", () => {
  const start = async (words: readonly string[], hasEnded = false): Promise<PodCommand> => {
    cluster.objects.addPod("one", {}, running);
    const options = { aliveSeconds: 10, hasEnded: () => Promise.resolve(hasEnded) };
    return new PodCommand(await Cluster.load(cluster.spec()), "one", words, options);
  };
  const closing = (command: PodCommand) => once(command, "close") as Promise<[number | null]>;

  it("hears the end of its stdin, and its streams and its exit code are told", async () => {
    const command = await start(["bash", "-c", "cat; echo trouble >&2; exit 3"]);
    const closed = closing(command);
    command.stdin.end("some words");
    expect(await Promise.all([text(command.stdout), text(command.stderr), closed])).toEqual([
      "some words",
      "trouble\n",
      [3, null],
    ]);
  });

  it("waits for who does not keep up: what is on its way stays small", async () => {
    const command = await start(["bash", "-c", "head -c 60000000 /dev/zero; cat >/dev/null"]);
    const closed = closing(command);
    // Nobody reads: it flows until all that is between is full, and stands.
    await expect
      .poll(() => performance.now() - (cluster.stalledAt ?? Infinity), { timeout: 50_000 })
      .toBeGreaterThan(400);
    expect(command.stdout.readableLength + command.stdout.writableLength).toBeLessThan(4_000_000);
    let read = 0;
    for await (const chunk of command.stdout) {
      read += (chunk as Buffer).length;
      if (read === 60_000_000) break;
    }
    command.stdin.end();
    expect(await closed).toEqual([0, null]);
  });

  it.each([
    [true, null],
    [false, 137],
  ])("killed with its container (%s) ends with %s", async (withContainer, code) => {
    const command = await start(["bash", "-c", "kill -9 $$"], withContainer);
    expect(await closing(command)).toEqual([code, null]);
  });

  it("is refused by a server that can't tell that stdin ended", async () => {
    cluster.protocols = ["v4.channel.k8s.io"];
    const command = await start(["true"]);
    expect(await closing(command)).toEqual([null, null]);
    expect(command.fault).toMatchObject({ code: "cluster-too-old" });
  });
});

describe("files to and from it", () => {
  it("go on where a lost connection left them, and are checked", async () => {
    const host = await connect(cluster.spec());
    const file = await fileOf("weights.bin", 6_000_000);
    cluster.cutAfter = 2_500_000;
    const there = `${host.dataDirectory}/models/a`;
    await host.push({ here: file.folder, there, files: [file.digest] });
    expect(digest(await readFile(join(there, "weights.bin")))).toBe(file.digest.sha256);
    const received = () => cluster.calls.filter((call) => call.endsWith(" receive")).length;
    expect(received()).toBe(2);
    expect(existsSync(join(there, "weights.bin.part"))).toBe(false);
    await host.push({ here: file.folder, there, files: [file.digest] });
    expect(received()).toBe(2);
    const wrong = { ...file.digest, path: "weights.bin", sha256: "0".repeat(64) };
    const push = host.push({ here: file.folder, there: `${host.dataDirectory}/models/b`, files: [wrong] });
    await expect(push).rejects.toMatchObject({ code: "transfer-damaged" });
    const back = join(cluster.folder, "back");
    await host.fetch({ here: back, there, files: [file.digest] });
    expect(digest(await readFile(join(back, "weights.bin")))).toBe(file.digest.sha256);
  });
});

describe("a tunnel", () => {
  it("leads each connection to a Pod that serves, also after the first one is gone", async () => {
    const server = createServer((_request, response) => response.end("hello"));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const host = await connect(cluster.spec());
    await expect(host.tunnel(port, "mine")).rejects.toMatchObject({
      code: "endpoint-no-pod",
      message: "The endpoint can't be reached: no Pod of the endpoint is there.",
    });
    const labels = {
      "tuneup.dev/role": "endpoint",
      "tuneup.dev/volume": "tuneup-data",
      "tuneup.dev/experiment": "mine",
    };
    cluster.objects.addPod("first", labels, running);
    const tunnel = await host.tunnel(port, "mine");
    const ask = async () =>
      (await fetch(`http://127.0.0.1:${tunnel.port}/`, { headers: { connection: "close" } })).text();
    expect(tunnel.port).not.toBe(port);
    expect(await ask()).toBe("hello");
    cluster.objects.pods.delete("first");
    cluster.objects.addPod("second", labels, running);
    expect(await ask()).toBe("hello");
    cluster.objects.pods.delete("second");
    await expect(ask()).rejects.toThrow();
    await tunnel.close();
    server.closeAllConnections();
    server.close();
  });
});
