import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { spotNotice } from "../../../agent/runs/spot-notice.ts";
import { resumePlaceFile } from "../../../recipe/resume-plan.ts";
import { until } from "../runs/harness.ts";
import { says, type TestHost, useBucket, wait } from "./published.ts";

/** What a machine does in the two minutes before AWS takes it back. */
const s3 = useBucket();
const service = createServer((request, response) => {
  asked.push(request.url ?? "");
  if (request.url === "/latest/api/token") return response.end("session");
  const isSession = request.headers["x-aws-ec2-metadata-token"] === "session";
  const isAsked = request.url === "/latest/meta-data/spot/instance-action";
  if (!isSession || !isAsked || told === undefined) return response.writeHead(isSession ? 404 : 401).end();
  return response.end(told);
});
let told: string | undefined;
let asked: string[] = [];
let endpoint: string;
const notice = JSON.stringify({ action: "terminate", time: "2026-11-27T12:02:00Z" });

beforeEach(async () => {
  [told, asked] = [undefined, []];
  service.listen(0, "127.0.0.1");
  await once(service, "listening");
  endpoint = `http://127.0.0.1:${(service.address() as AddressInfo).port}`;
});
afterEach(async () => {
  service.closeAllConnections();
  service.close();
  await once(service, "close");
});

/** A machine of spot capacity, as its user data makes it. */
function replaceable(host: TestHost): void {
  const file = resumePlaceFile(host.dataDirectory);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify({ address: "s3://models/out/mine/runs/machine/1/", region: "us-east-1" }));
}

test("a checkpoint is saved and published, and the training goes on", async () => {
  const one = s3.host({ AWS_EC2_METADATA_SERVICE_ENDPOINT: endpoint });
  replaceable(one);
  one.plan({ steps: 8, hold: 3, saveEvery: 100 });
  await s3.declare(one);
  await one.held();
  await until(() => asked.some((path) => path.endsWith("/instance-action")));
  expect(one.events().some(({ message }) => message.includes("takes this machine back"))).toBe(false);
  told = notice;
  await until(() => says(one, "the checkpoint at step 3 is in s3://models/"));
  expect(s3.json("owner.json").checkpoints.map(({ step }) => step)).toEqual([3]);
  expect(
    one.events().filter(({ message }) => message.includes("AWS takes this machine back at 2026-11-27T12:02:00Z")),
  ).toHaveLength(1);
  one.release();
  expect((await wait(one)).status.state).toBe("complete");
});

test("a trainer that has not begun is left alone, and goes on to its end where the machine stays", async () => {
  const one = s3.host({ AWS_EC2_METADATA_SERVICE_ENDPOINT: endpoint });
  replaceable(one);
  told = notice;
  one.plan({ steps: 4, holdLoading: true });
  await s3.declare(one);
  await one.held();
  await until(() => says(one, "AWS takes this machine back"));
  one.release();
  expect((await wait(one)).status).toMatchObject({ state: "complete", attempt: 1 });
});

test("on another machine nobody asks", async () => {
  told = notice;
  const one = s3.host({ AWS_EC2_METADATA_SERVICE_ENDPOINT: endpoint });
  one.plan({ steps: 4 });
  await s3.declare(one);
  expect((await wait(one)).status.state).toBe("complete");
  expect(asked.filter((path) => path.includes("spot"))).toEqual([]);
});

test("a service that is silent, refuses or says what nobody knows is asked again, until there is a notice or nobody waits", async () => {
  const { AWS_EC2_METADATA_SERVICE_ENDPOINT: before } = process.env;
  process.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "http://127.0.0.1:9";
  try {
    const abort = new AbortController();
    const waiting = spotNotice(abort.signal, 5);
    process.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = endpoint;
    told = '{"action": "dance", "time": "now"}';
    await until(() => asked.length > 2);
    told = "no JSON";
    const count = asked.length;
    await until(() => asked.length > count + 2);
    told = notice;
    expect(await waiting).toEqual({ action: "terminate", time: "2026-11-27T12:02:00Z" });
    told = undefined;
    const given = spotNotice(abort.signal, 5);
    abort.abort();
    expect(await given).toBeUndefined();
  } finally {
    if (before === undefined) delete process.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"];
    else process.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = before;
  }
});
