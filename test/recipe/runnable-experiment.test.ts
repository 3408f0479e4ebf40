import { describe, expect, it } from "vitest";
import { Fault } from "../../recipe/fault.ts";
import { readPlannableExperiment, readRunnableExperiment } from "../../recipe/runnable-experiment.ts";

const sha256 = "a".repeat(64);
/** The model below is a folder, whose needs no one knows here. */
const machine = { instanceTypes: ["g6.xlarge"], volume: { sizeGiB: 50 } };

/** Weights that a machine fetches by itself. */
const fetched = { model: { source: "hub", id: "some/other" } };

const publicChat = {
  certificate: "arn:aws:acm:us-east-1:123456789012:certificate/a",
  allowedCidrs: ["203.0.113.0/24"],
};

const config = {
  model: { source: "path", id: "models/qwen", adapter: "saves/first,local-123456789abc" },
  datasets: [
    { path: "data/faq.jsonl" },
    { datasetInfo: "../lf/data/dataset_info.json", names: ["a"] },
    { hub: "org/name" },
    { url: "https://example.com/a.json", sha256 },
  ],
  train: { template: "qwen" },
};

describe("readRunnableExperiment", () => {
  it("makes every path of the file absolute, and nothing else", () => {
    const { experiment } = readRunnableExperiment(config, "/project");
    expect(experiment?.model).toMatchObject({
      id: "/project/models/qwen",
      adapter: "/project/saves/first,local-123456789abc",
    });
    expect(experiment?.datasets).toEqual([
      { path: "/project/data/faq.jsonl" },
      { datasetInfo: "/lf/data/dataset_info.json", names: ["a"] },
      { hub: "org/name" },
      { url: "https://example.com/a.json", sha256 },
    ]);
  });

  it("leaves hub ids and names of runs as they are", () => {
    const { experiment } = readRunnableExperiment(
      { ...config, model: { source: "hub", id: "Qwen/Qwen2.5-7B", adapter: "local-123456789abc" } },
      "/project",
    );
    expect(experiment?.model).toEqual({ source: "hub", id: "Qwen/Qwen2.5-7B", adapter: "local-123456789abc" });
  });

  it.each([
    [
      { target: "aws", aws: { ...machine, spot: true, egress: "none" }, ...fetched },
      /^aws.egress: must be nat with aws.spot: a machine that takes another's place has nobody who pushes/,
    ],
    [
      { target: "aws", aws: { ...machine, spot: true }, compute: { offline: true }, ...fetched },
      /^compute.offline: must be false with aws.spot: /,
    ],
    [
      { target: "aws", aws: { ...machine, spot: true }, model: { ...config.model, adapter: undefined } },
      /^model.source: must not be path with aws.spot: .* Put the weights on a hub or into a bucket that everybody may read/,
    ],
    [
      { target: "aws", aws: { ...machine, spot: true }, model: { ...fetched.model, adapter: "local-123456789abc" } },
      /^model.adapter: must be left out with aws.spot: /,
    ],
    [
      { target: "aws", aws: { ...machine, spot: true, publicChat }, ...fetched },
      /^aws.publicChat: must be left out with aws.spot: a load balancer knows one machine/,
    ],
    [
      { target: "aws", aws: { ...machine, publicChat }, serve: { enabled: false } },
      "aws.publicChat: is for an endpoint, and there is none, since serve.enabled is false. Take it out, or let the experiment be served.",
    ],
    [
      { target: "aws", aws: { ...machine, publicChat }, teardown: "after-training" },
      /^aws.publicChat: .* there is none, since teardown.when is after-training\./,
    ],
    [
      {
        target: "aws",
        aws: { ...machine, publicChat: { ...publicChat, allowedCidrs: ["10.0.0.0/8", "2001:db8::/32"] } },
      },
      /^aws.publicChat.allowedCidrs: must be blocks of IPv4, .*, got 2001:db8::\/32\./,
    ],
    [
      { target: "aws", aws: { ...machine, publicChat }, serve: { host: "10.73.0.9" } },
      /^serve.host: must be left out with aws.publicChat, .*, got 10.73.0.9\./,
    ],
    [
      { target: "aws", aws: { ...machine, publicChat }, serve: { tls: "off" } },
      /^serve.tls: must not be off with aws.publicChat: key, questions/,
    ],
    [
      { target: "aws", aws: { ...machine, publicChat }, serve: { tls: "off", host: "0.0.0.0" } },
      /^serve.tls: must not be off while serve.host is 0.0.0.0/,
    ],
    [{ target: "aws", aws: machine, compute: { gpus: 2 } }, /^compute.gpus: must be 1 for the target aws, .*, got 2\./],
    [
      { target: "aws", compute: { host: "my-gpu" } },
      /^compute.host: has no meaning for the target aws, which is a machine/,
    ],
    [{ target: "aws", compute: { device: "cpu" } }, /^compute.device: must be auto or cuda for the target aws/],
    [
      { target: "aws", compute: { nodes: 2 } },
      /^compute.nodes: is for the target kubernetes: on aws one machine trains\./,
    ],
    [{ target: "ssh" }, /^compute.host: is required/],
    [{ compute: { host: "my-gpu" } }, /^compute.host: has no meaning for the target local/],
    [{ storage: { dataDirectory: "~/data" } }, /^storage.dataDirectory: must be an absolute path, got "~\/data"/],
    [{ teardown: "after-idle" }, /^teardown.when: must be keep or after-training for the target local, got after-idle/],
    [{ serve: { host: "0.0.0.0", tls: "off" } }, /^serve.tls: must not be off while serve.host is 0.0.0.0/],
    [{ serve: { port: 99999 } }, /^serve.port: must be at most 65535/],
  ])("refuses %j", (keys, expected) => {
    const { faults } = readRunnableExperiment({ ...config, ...keys }, "/project");
    const sentences = (faults ?? []).map((facts) => new Fault(facts).sentence);
    expect(sentences).toEqual([typeof expected === "string" ? expected : (expect.stringMatching(expected) as unknown)]);
  });
});

it("asks for machine and disk of a model that is not bundled", () => {
  const { faults } = readRunnableExperiment({ ...config, target: "aws" }, "/project");
  expect(faults?.map(({ code, property }) => [code, property])).toEqual([["aws-model-unknown", "aws.instanceTypes"]]);
});

it("takes a public chat, whatever loopback or wildcard serve.host says", () => {
  for (const host of ["127.0.0.1", "0.0.0.0"]) {
    const open = { ...config, target: "aws", aws: { ...machine, publicChat }, serve: { host } };
    expect(readRunnableExperiment(open, "/project").experiment?.aws?.publicChat).toEqual({
      ...publicChat,
      everyone: false,
    });
  }
});

it("readPlannableExperiment lets through what aws is asked for and not given yet", () => {
  const two = { ...config, target: "aws", teardown: "after-idle", aws: machine, compute: { gpus: 2 } };
  expect(readPlannableExperiment(two, "/project").experiment?.model.id).toBe("/project/models/qwen");
  expect(readRunnableExperiment(two, "/project").experiment).toBeUndefined();
  expect(readRunnableExperiment({ ...two, compute: {} }, "/project").experiment?.target).toBe("aws");
});

it("takes spot capacity for weights that a machine fetches by itself", () => {
  const spot = { ...config, ...fetched, target: "aws", aws: { ...machine, spot: true } };
  expect(readRunnableExperiment(spot, "/project").experiment?.aws).toMatchObject({ spot: true, onDemandFallback: 15 });
});
