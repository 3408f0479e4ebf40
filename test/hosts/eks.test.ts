/* eslint-disable @typescript-eslint/no-unsafe-class-instance-assignment -- objects of the API are plain data here, whatever classes the client has for them */
import { once } from "node:events";
import { chmod, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, connect as dial } from "node:net";
import { delimiter, join } from "node:path";
import { createServer, type Server } from "node:tls";
import { parse } from "yaml";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { eksChecks } from "../../cli/doctor/eks.ts";
import { sayIn } from "../../cli/language/say.ts";
import { connectIfUp } from "../../hosts/connect-if-up.ts";
import { connect } from "../../hosts/connect.ts";
import { EksHost, type EksHostSpec } from "../../hosts/eks.ts";
import { Fault } from "../../recipe/fault.ts";
import { awsProgram, certificateIn } from "./eks-stand-in.ts";
import { FakeCluster } from "./fake-cluster.ts";

let api: FakeCluster;
let folder: string;
let front: Server;
let authority: string;
const connected = new Set<{ destroy(): unknown }>();
/** What went to the API, as text. */
let heard: string;

/** TLS before the stand-in of an API server, with a certificate that only the kubeconfig knows. */
async function putTlsBefore(address: URL): Promise<void> {
  const { key, cert } = await certificateIn(folder);
  authority = cert.toString("base64");
  heard = "";
  connected.clear();
  front = createServer({ key, cert }, (socket) => {
    connected.add(socket);
    const behind = dial(Number(address.port), address.hostname);
    socket.on("data", (data: Buffer) => (heard += data.toString("latin1")));
    socket.pipe(behind).pipe(socket);
    // Either end may go first.
    socket.on("error", () => behind.destroy());
    behind.on("error", () => socket.destroy());
  }).listen(0, "127.0.0.1");
  await once(front, "listening");
}

beforeEach(async () => {
  api = await FakeCluster.start();
  folder = join(api.folder, "aws");
  await mkdir(folder);
  await writeFile(join(folder, "aws"), awsProgram);
  await chmod(join(folder, "aws"), 0o755);
  vi.stubEnv("PATH", `${folder}${delimiter}${process.env["PATH"] ?? ""}`);
  const { clusters } = parse(await readFile(join(api.folder, "kubeconfig"), "utf8")) as {
    clusters: [{ cluster: { server: string } }];
  };
  await putTlsBefore(new URL(clusters[0].cluster.server));
  // The cluster is found by its name alone.
  vi.stubEnv("KUBECONFIG", join(folder, "none"));
});
afterEach(async () => {
  front.close();
  await api.remove();
});

const nodes = { group: "gpu", stack: "exp" };
const own: EksHostSpec["eks"] = { region: "us-east-1", name: "tuneup-exp", nodes };
const specOf = (eks: EksHostSpec["eks"] = own): EksHostSpec => ({ ...api.spec(), eks });
const told = (what: string, text: object) => writeFile(join(folder, what), JSON.stringify({ [what]: text }));

function clusterIs(status: string): Promise<void> {
  const endpoint = `https://127.0.0.1:${(front.address() as AddressInfo).port}`;
  return told("cluster", { status, endpoint, certificateAuthority: { data: authority } });
}
const nodesAre = (desiredSize: number, more: object = {}) =>
  told("nodegroup", { status: "ACTIVE", scalingConfig: { minSize: 0, maxSize: 1, desiredSize }, ...more });

async function faultOf(work: Promise<unknown>): Promise<Fault> {
  const thrown: unknown = await work.catch((one: unknown) => one);
  if (thrown instanceof Fault) return thrown;
  throw new Error(`a Fault is expected, got ${String(thrown)}`);
}

describe("a cluster of the stack's own", () => {
  it("runs commands there by a token of the AWS CLI, and asks nothing before the first", async () => {
    await clusterIs("ACTIVE");
    await nodesAre(1);
    const host = await connect(specOf());
    expect(host).toBeInstanceOf(EksHost);
    expect(host.description).toBe("tuneup-exp in us-east-1");
    await expect(readFile(join(folder, "calls"), "utf8")).rejects.toThrow(/ENOENT/);
    // Nothing is on a volume that is not there.
    api.objects.claims.clear();
    expect(await host.run("run-list", { experiment: "exp" })).toEqual([]);
    await host.close();
    const calls = (await readFile(join(folder, "calls"), "utf8")).trim().split("\n");
    expect(calls[0]).toBe("--region us-east-1 --output json --no-cli-pager eks describe-cluster --name tuneup-exp");
    expect(calls).toContain("--region us-east-1 eks get-token --cluster-name tuneup-exp --output json");
    expect(api.requests).toContain("GET /api/v1/namespaces/demo/persistentvolumeclaims/tuneup-data");
    expect(heard).toMatch(/^authorization: Bearer canary-token\r$/im);
  });

  it.each<[string, () => Promise<unknown>, string, RegExp]>([
    ["no cluster", () => Promise.resolve(), "machine-none", /^There is no cluster tuneup-exp in us-east-1\./],
    ["one that is made", () => clusterIs("CREATING"), "machine-starting", /^The cluster tuneup-exp .* starts\.$/],
    ["one that goes", () => clusterIs("DELETING"), "machine-none", /^DELETING is the state of the cluster tuneup-exp/],
    ["no nodes yet", () => clusterIs("ACTIVE"), "machine-none", /has no nodes yet\.$/],
    [
      "nodes that are made",
      () => Promise.all([clusterIs("ACTIVE"), nodesAre(1, { status: "CREATING" })]),
      "machine-starting",
      /^A node of tuneup-exp in us-east-1 starts\.$/,
    ],
    [
      "nodes that were ended",
      () => Promise.all([clusterIs("ACTIVE"), nodesAre(0)]),
      "machine-ended",
      /^The nodes of tuneup-exp in us-east-1 ended: their group is scaled to none\.$/,
    ],
    [
      "a lease that is over",
      () => Promise.all([clusterIs("ACTIVE"), nodesAre(0, { tags: { "tuneup:expiry": "2020-01-01T00:00:00Z" } })]),
      "machine-ended",
      /ended: their lease was over at 2020-01-01T00:00:00Z\.$/,
    ],
  ])("with %s is down, and says why", async (_what, arrange, code, sentence) => {
    await arrange();
    const host = new EksHost(specOf());
    const why = await host.whyDown();
    expect(why).toMatchObject({ code });
    expect(why?.message).toMatch(sentence);
    expect(await host.isUp()).toBe(false);
    expect((await faultOf(host.run("run-list", { experiment: "exp" }))).code).toBe(code);
    expect(await connectIfUp(specOf())).toBeUndefined();
    // Nothing of it was asked.
    expect(api.requests).toEqual([]);
  });

  it("is not asked at all where no node is wanted", async () => {
    await clusterIs("ACTIVE");
    await nodesAre(1);
    expect(await connectIfUp(specOf())).toBeDefined();
    expect(await connectIfUp({ ...specOf(), resting: true })).toBeUndefined();
  });

  it("lacks nothing that `up` brings: class and plugin come after the nodes of one that was cut off", async () => {
    await clusterIs("ACTIVE");
    await nodesAre(1);
    api.objects.claims.clear();
    const conditions = [{ type: "Ready", status: "True" }];
    const status = { allocatable: { cpu: "8", memory: "30Gi" }, conditions };
    api.objects.nodes = [{ metadata: { name: "a" }, status }];
    const spec = { ...specOf(), storageClassName: "tuneup-gp3" };
    const asked = async (changes: object) => {
      const host = new EksHost({ ...spec, ...changes });
      return host.run("preflight", {}).finally(() => host.close());
    };
    const made = await asked({});
    expect(made.unwritable).toBeUndefined();
    expect(made.gpus).toHaveLength(1);
    // Of a cluster of others both have to be there.
    const given = await asked({ eks: { region: "us-east-1", name: "team" } });
    expect(given.unwritable).toMatch(/^the cluster has no StorageClass tuneup-gp3;/);
    expect(given.gpus).toEqual([]);
  });

  it("is tried again after it was down", async () => {
    const host = new EksHost(specOf());
    expect((await faultOf(host.run("run-list", { experiment: "exp" }))).code).toBe("machine-none");
    await clusterIs("UPDATING");
    await nodesAre(1);
    api.objects.claims.clear();
    expect(await host.run("run-list", { experiment: "exp" })).toEqual([]);
    await host.close();
  });
});

describe("nodes that have nothing more to do", () => {
  const scaled = async (eks: EksHostSpec["eks"]) => {
    await told("update", { status: "InProgress" });
    await new EksHost(specOf(eks)).noteSafe();
    return readFile(join(folder, "calls"), "utf8").catch(() => "");
  };

  it("are ended as soon as what the run left is safe, where they are to end with it", async () => {
    expect(await scaled({ ...own, nodes: { ...nodes, endWithRun: true } })).toBe(
      "--region us-east-1 --output json --no-cli-pager eks update-nodegroup-config --cluster-name tuneup-exp --nodegroup-name gpu --scaling-config minSize=0,maxSize=1,desiredSize=0\n",
    );
  });

  it("are left alone where they are not, and where they are others'", async () => {
    expect(await scaled(own)).toBe("");
    expect(await scaled({ region: "us-east-1", name: "team" })).toBe("");
  });
});

describe("a command that fails", () => {
  const fails = async (eks: EksHostSpec["eks"], meanwhile: () => Promise<unknown>) => {
    vi.stubEnv("TUNEUP_KUBERNETES_PATIENCE_MS", "1");
    await clusterIs("ACTIVE");
    await nodesAre(1);
    api.objects.claims.clear();
    const host = new EksHost(specOf(eks));
    expect(await host.run("run-list", { experiment: "exp" })).toEqual([]);
    front.close();
    for (const socket of connected) socket.destroy();
    await meanwhile();
    return faultOf(host.run("run-list", { experiment: "exp" })).finally(() => host.close());
  };

  it("because its nodes ended meanwhile says so, and not what came of that", async () => {
    const lease = { tags: { "tuneup:expiry": "2020-01-01T00:00:00Z" } };
    const fault = await fails(own, () => nodesAre(0, lease));
    expect(fault).toMatchObject({ code: "machine-ended" });
    expect(fault.message).toMatch(/their lease was over at 2020-01-01T00:00:00Z\.$/);
  });

  it("because the API does not answer says how another address is let in", async () => {
    const fault = await fails(own, () => Promise.resolve());
    expect(fault).toMatchObject({ code: "cluster-unreachable", property: "eks.allowedCidrs" });
    expect(fault.next).toContain("`aws eks update-cluster-config --region us-east-1 --name tuneup-exp ");
  });

  it("on a cluster of others is told as it is", async () => {
    const given = await fails({ region: "us-east-1", name: "team" }, () => Promise.resolve());
    expect(given).toMatchObject({ code: "cluster-unreachable", property: "kubernetes.context" });
  });
});

describe("a cluster of others", () => {
  const given = { region: "us-east-1", name: "team" };

  it("is up when it is there: its nodes are others' concern", async () => {
    await clusterIs("ACTIVE");
    expect(await new EksHost(specOf(given)).isUp()).toBe(true);
    await rm(join(folder, "cluster"));
    const why = await new EksHost(specOf(given)).whyDown();
    expect(why?.sentence).toMatch(/^eks\.name: There is no cluster team in us-east-1\. Name one that is there/);
  });
});

describe("what AWS answers instead", () => {
  it.each<[string, string, string]>([
    [
      "expired credentials",
      "An error occurred (ExpiredTokenException) when calling the DescribeCluster operation: The security token included in the request is expired",
      "aws-credentials-expired",
    ],
    [
      "no credentials",
      'Unable to locate credentials. You can configure credentials by running "aws configure".',
      "aws-credentials-missing",
    ],
    [
      "no right",
      "An error occurred (AccessDeniedException) when calling the DescribeCluster operation: User: x is not authorized",
      "aws-forbidden",
    ],
    [
      "too much at once",
      "An error occurred (ThrottlingException) when calling the DescribeCluster operation (reached max retries: 2): Rate exceeded",
      "aws-busy",
    ],
    [
      "another refusal",
      "An error occurred (InvalidParameterException) when calling the DescribeCluster operation: bad",
      "aws-refused",
    ],
    [
      "no way",
      'Could not connect to the endpoint URL: "https://eks.us-east-1.amazonaws.com/clusters/tuneup-exp"',
      "aws-unreachable",
    ],
  ])("%s is one sentence", async (_what, said, code) => {
    await writeFile(join(folder, "refusal"), said);
    const fault = await faultOf(new EksHost(specOf()).isUp());
    expect(fault.code).toBe(code);
    expect(fault.sentence).not.toContain("\n");
  });

  it("no AWS CLI is said with what to do", async () => {
    vi.stubEnv("PATH", join(folder, "nothing"));
    expect((await faultOf(new EksHost(specOf()).isUp())).code).toBe("aws-cli-missing");
  });
});

describe("`tuneup doctor`", () => {
  const examine = async (spec = specOf()) => {
    const checks = await eksChecks(spec, { PATH: process.env["PATH"] }, sayIn("en"));
    return checks.map(({ name, state }) => `${name} ${state}`);
  };

  it("looks at the CLI and the cluster, and takes one that is yet to be made for no fault", async () => {
    expect(await examine()).toEqual(["aws ok", "eks note"]);
    expect(await examine(specOf({ region: "us-east-1", name: "team" }))).toEqual(["aws ok", "eks missing"]);
    await clusterIs("ACTIVE");
    await nodesAre(1);
    expect(await examine()).toEqual(["aws ok", "cluster ok", "kubernetes ok", "rights ok", "volume ok", "gpu note"]);
    vi.stubEnv("PATH", join(folder, "nothing"));
    expect(await examine()).toEqual(["aws missing"]);
  });
});
