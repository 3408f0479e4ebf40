import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readdir, readFile, readlink, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";
import { Exec, KubeConfig, PortForward } from "@kubernetes/client-node";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { until as holds } from "../agent/runs/harness.ts";
import { type Cluster, clusterObstacle, startCluster } from "./cluster.ts";
import { imageNames, pythonImage } from "./images.ts";
import { claim, pod, policy, server, trainJob, trainingRuntime } from "./objects.ts";
import { ensurePrograms } from "./programs.ts";

const obstacle = await clusterObstacle();
const space = "trial";
let cluster: Cluster;

const kubectl = (words: readonly string[], input?: string) => cluster.kubectl(["--namespace", space, ...words], input);
const apply = (...objects: readonly object[]) =>
  kubectl(["apply", "--filename=-"], objects.map((object) => JSON.stringify(object)).join("\n---\n"));
const until = (state: string, name: string) => kubectl(["wait", `--for=${state}`, "--timeout=120s", name]);
/** Runs a Pod to its end; what it printed. */
async function outcome(object: ReturnType<typeof pod>): Promise<string> {
  await apply(object);
  await until("jsonpath={.status.phase}=Succeeded", `pod/${object.metadata.name}`);
  return kubectl(["logs", object.metadata.name]);
}

beforeAll(async () => {
  if (obstacle !== undefined) return;
  cluster = await startCluster({ name: "own-test" });
  await cluster.loadImage(await pythonImage(), imageNames.python);
  await cluster.kubectl(["create", "namespace", space]);
  await cluster.kubectl(["label", "namespace", space, "pod-security.kubernetes.io/enforce=restricted"]);
  await cluster.kubectl(["wait", "--for=create", "serviceaccount/default", "--namespace", space, "--timeout=60s"]);
});
beforeEach(({ skip }) => skip(obstacle !== undefined, obstacle));
afterAll(() => (cluster as Cluster | undefined)?.stop());

test("a Pod that restricted admits runs this machine's Python, another is refused", async () => {
  const python = "import ssl, ctypes, sqlite3, os; open('/tmp/file', 'w'); print(os.getuid(), ssl.OPENSSL_VERSION)";
  expect(await outcome(pod("restricted", ["python3", "-c", python]))).toMatch(/^1000 OpenSSL/);
  const { spec, ...rest } = pod("privileged", ["python3", "-c", "1"]);
  const privileged = spec.containers.map((container) => ({ ...container, securityContext: { privileged: true } }));
  await expect(apply({ ...rest, spec: { ...spec, containers: privileged } })).rejects.toThrow(
    /violates PodSecurity "restricted:latest": privileged/,
  );
});

test("a claim is bound and written by a user, and its folder is seen here", async () => {
  await apply(claim("data"));
  await outcome(pod("writer", ["sh", "-c", "mkdir /data/folder && echo kept > /data/folder/file"], { claim: "data" }));
  const file = join(await cluster.volume(space, "data"), "folder", "file");
  expect(await readFile(file, "utf8")).toBe("kept\n");
  expect((await stat(file)).uid).toBe(1000);
});

test("a volume of limited size gets full", async () => {
  await apply(claim("small"));
  await cluster.limitVolume(space, "small", 2);
  const python = `import os\ntry: open('/data/file', 'wb').write(bytes(4000000))\nexcept OSError as e: print(e.strerror)`;
  expect(await outcome(pod("filler", ["python3", "-c", python], { claim: "small" }))).toBe("No space left on device");
});

test("exec and port-forward go through the API server", async () => {
  await apply(pod("server", server, { port: 8000 }));
  await until("condition=Ready", "pod/server");
  const config = new KubeConfig();
  config.loadFromFile(cluster.kubeconfig);
  const [output, input] = [new PassThrough(), new PassThrough()];
  const exec = new Exec(config).exec(space, "server", "main", ["cat"], output, null, input, false);
  // Its type is that of a package without types.
  const socket = (await (exec as Promise<unknown>)) as { close(): void };
  input.end("through\n");
  expect((await once(output.setEncoding("utf8"), "data"))[0]).toBe("through\n");
  socket.close();
  const forward = new PortForward(config);
  const listener = createServer((caller) => void forward.portForward(space, "server", [8000], caller, null, caller));
  await once(listener.listen(0, "127.0.0.1"), "listening");
  const { port } = listener.address() as { port: number };
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toContain("Directory listing");
  listener.close();
});

test("a NetworkPolicy lets through whom it names, and nobody else", async () => {
  await apply(pod("target", server, { port: 8000, labels: { app: "target" } }), {
    ...{ apiVersion: "v1", kind: "Service", metadata: { name: "target" } },
    spec: { selector: { app: "target" }, ports: [{ port: 80, targetPort: 8000 }] },
  });
  await until("condition=Ready", "pod/target");
  const ask = `import urllib.request
def ask():
  try: return urllib.request.urlopen('http://target/', timeout=3).status
  except OSError: return 'refused'
print(ask())`;
  const attempt = (name: string, role: string) => outcome(pod(name, ["python3", "-c", ask], { labels: { role } }));
  expect(await attempt("before", "stranger")).toBe("200");
  await apply(
    policy(
      "only-friends",
      { app: "target" },
      { ingress: [{ from: [{ podSelector: { matchLabels: { role: "friend" } } }] }] },
    ),
  );
  expect(await attempt("stranger", "stranger")).toBe("refused");
  expect(await attempt("friend", "friend")).toBe("200");
  await apply(policy("no-way-out", { role: "friend" }, { egress: [] }));
  expect(await attempt("friend-inside", "friend")).toBe("refused");
});

test("the webhooks of Trainer accept a TrainJob and refuse a wrong one", async () => {
  await cluster.installTrainer();
  await apply(trainingRuntime("own"));
  const dry = ["apply", "--dry-run=server", "--output=jsonpath={.spec.runtimeRef.name}", "--filename=-"];
  expect(await kubectl(dry, JSON.stringify(trainJob("right", "own")))).toBe("own");
  await expect(kubectl(dry, JSON.stringify(trainJob("wrong", "missing")))).rejects.toThrow(
    /denied the request.*missing/s,
  );
});

test("it offers GPUs, also after the kubelet was away, and Pods outlive that and a restart of the API server", async () => {
  await apply(pod("lasting", ["sleep", "1000"]));
  await until("condition=Ready", "pod/lasting");
  const uid = () =>
    kubectl(["get", "pod/lasting", "--output=jsonpath={.metadata.uid} {.status.containerStatuses[0].containerID}"]);
  const before = await uid();
  await cluster.stopKubelet();
  await cluster.kubectl(["wait", "--for=condition=Ready=Unknown", "node/node", "--timeout=120s"]);
  await cluster.startKubelet();
  await cluster.restartApiserver();
  expect(await uid()).toBe(before);
  expect(await outcome(pod("gpu", ["sh", "-c", "echo $NVIDIA_VISIBLE_DEVICES"], { gpus: 2 }))).toMatch(
    /^GPU-\d,GPU-\d$/,
  );
});

test("two side by side do not see each other, and nothing is left of one that was stopped", async () => {
  const other = await startCluster({ name: "own-test-other", gpus: 0 });
  await other.kubectl(["create", "namespace", "elsewhere"]);
  expect(await cluster.kubectl(["get", "namespaces"])).not.toContain("elsewhere");
  expect(await other.kubectl(["get", "namespaces"])).not.toContain(space);
  const [, target = ""] = /--target=(\d+)/.exec(other.enter.join(" ")) ?? [];
  const own = await readlink(`/proc/${target}/ns/net`);
  const folder = join(other.logs, "..");
  expect(await inNetwork(own)).toBeGreaterThan(10);
  await other.stop();
  expect(await inNetwork(own)).toBe(0);
  expect(existsSync(folder)).toBe(false);
  expect(await readFile("/proc/mounts", "utf8")).not.toContain(folder);
  expect(await groupsOf(folder)).toEqual([]);
  expect(await cluster.kubectl(["get", "node", "--output=name"])).toBe("node/node");
});

test("it goes with the process that made it, also where that was killed", async () => {
  const { packages } = await ensurePrograms();
  const script = `import { openNamespace } from ${JSON.stringify(new URL("namespace.ts", import.meta.url).href)};
const { folder, pid, start } = await openNamespace("orphan", ${JSON.stringify(packages)});
await start("sleep", ["sleep", "1000"]);
console.log(JSON.stringify({ folder, pid }));
setInterval(() => undefined, 1000);`;
  const maker = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const line = String((await once(createInterface({ input: maker.stdout }), "line"))[0]);
  const { folder, pid } = JSON.parse(line) as { folder: string; pid: number };
  const own = await readlink(`/proc/${pid}/ns/net`);
  expect(await inNetwork(own)).toBeGreaterThan(2);
  maker.kill("SIGKILL");
  await holds(() => !existsSync(folder));
  expect(await inNetwork(own)).toBe(0);
  expect(await groupsOf(folder)).toEqual([]);
});

/** Names of the cgroups of a cluster's folder. */
async function groupsOf(folder: string): Promise<string[]> {
  const root = "/sys/fs/cgroup";
  const names = await Promise.all((await readdir(root)).map((name) => readdir(join(root, name)).catch(() => [])));
  return names.flat().filter((name) => folder.endsWith(name));
}

/** How many processes of this machine are in a network. */
async function inNetwork(network: string): Promise<number> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const all = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/ns/net`).catch(() => "")));
  return all.filter((one) => one === network).length;
}
