import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { writeJson } from "../../../agent/files.ts";
import { causeOf, nodeOf } from "../../../agent/runs/ranks.ts";
import { type Launch, trainerProgram } from "../../../agent/runs/trainer.ts";
import { judge } from "../../../agent/runs/verdict.ts";
import { makeHost } from "./harness.ts";

let host: ReturnType<typeof makeHost>;
beforeEach(() => {
  host = makeHost();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await host.clean();
});

const place = { PET_NNODES: "2", PET_NODE_RANK: "1", PET_MASTER_ADDR: "run-node-0-0.run", PET_MASTER_PORT: "29400" };
const fault = (at: string, type: string, message: string) =>
  ({ at, attempt: 1, kind: "fault", type, message, phase: "training", step: 4 }) as const;

test("a node is told by Kubeflow Trainer which one it is, and refuses to be one of another number", () => {
  const spec = host.spec("mine-1", { processes: { nodes: 2, perNode: 4 } });
  expect(nodeOf(spec, place)).toEqual({ rank: 1, address: "run-node-0-0.run", port: 29400 });
  expect(nodeOf(host.spec(), place)).toBeUndefined();
  for (const wrong of [{}, { ...place, PET_NODE_RANK: "2" }, { ...place, PET_NNODES: "3" }]) {
    expect(() => nodeOf(spec, wrong)).toThrow(/trained by 2 nodes, and its Pod was told PET_NNODES/);
  }
});

test("one process is started as ever, several by torchrun, with what their network needs", () => {
  vi.stubEnv("NCCL_SOCKET_IFNAME", "eth1");
  const launch = (processes?: { nodes: number; perNode: number }, more: Partial<Launch> = {}) =>
    trainerProgram({
      ...{ layout: host.layout, paths: host.paths(), attempt: 1, resume: undefined, saveSeconds: 600, ...more },
      spec: host.spec("mine-1", processes === undefined ? {} : { processes }),
    });
  const script = `${host.paths().scripts}/train.py`;
  for (const alone of [launch(), launch({ nodes: 1, perNode: 1 })]) {
    expect(alone.words[0]).toBe(script);
    expect(alone.environment["NCCL_SOCKET_IFNAME"]).toBeUndefined();
  }
  const eight = launch({ nodes: 1, perNode: 8 });
  expect(eight.words.slice(0, 4)).toEqual([
    `${host.paths().scripts}/train_launch.py`,
    "--standalone",
    "--local-addr=127.0.0.1",
    "--nproc-per-node=8",
  ]);
  expect(eight.words).not.toContain("--follow");
  expect(eight.environment["NCCL_SOCKET_IFNAME"]).toBe("eth1");
  const second = launch({ nodes: 2, perNode: 1 }, { node: { rank: 1, address: "first", port: 29400 } });
  expect(second.words).toEqual(
    expect.arrayContaining(["--nnodes=2", "--node-rank=1", "--master-addr=first", "--master-port=29400", "--follow"]),
  );
});

test("the cause is the exception of the rank that failed, not of those that lost it", async () => {
  const paths = host.paths();
  const lost = fault(
    "2026-01-01T00:00:01.000Z",
    "RuntimeError",
    "[gloo/pair.cc] Connection closed by peer [127.0.0.1]:1",
  );
  const real = fault("2026-01-01T00:00:02.000Z", "OutOfMemoryError", "CUDA out of memory.");
  expect(await causeOf(paths, undefined)).toBeUndefined();
  expect(await causeOf(paths, lost)).toEqual(lost);
  await writeJson(`${paths.ranks}/1.json`, real);
  expect(await causeOf(paths, lost)).toEqual(real);
  const end = { code: 1, signal: undefined, lastWords: "", step: 4 };
  expect(judge({ ...end, fault: lost })).toMatchObject({ retry: "always", fault: { code: "process-lost" } });
  expect(judge({ ...end, fault: real })).toMatchObject({ retry: "never", fault: { code: "out-of-memory" } });
});
