import { describe, expect, it } from "vitest";
import { type Found, idOf, kindOf, orphansOf } from "../../../recipe/aws/audit.ts";

const tags = { "tuneup:project": "tuneup", "tuneup:stack": "demo" };
const arn = (name: string, service = "ec2") => `arn:aws:${service}:us-east-1:123456789012:${name}`;
const one = (name: string, facts: Partial<Found> = {}, service = "ec2"): Found => ({
  arn: arn(name, service),
  tags,
  ...facts,
});

describe("orphansOf", () => {
  it("leaves out what a state has by its id or its whole name, and nothing that is only like it", () => {
    const found = [one("volume/vol-0a"), one("volume/vol-0ab"), one("targetgroup/demo/1f", {}, "elasticloadbalancing")];
    const state = JSON.stringify({ resources: [{ id: "vol-0ab" }, { outputs: { arn: found[2]!.arn } }] });
    expect(orphansOf(found, [state]).map(({ id }) => id)).toEqual(["vol-0a"]);
    expect(orphansOf(found, [])).toHaveLength(3);
  });

  it("has a machine of a group by its group, which a state has in its place", () => {
    const found = [one("instance/i-0a", { instanceType: "g5.xlarge", group: "tuneup-demo" })];
    expect(orphansOf(found, [])).toMatchObject([{ kind: "autoscaling group", id: "tuneup-demo", stack: "demo" }]);
    expect(orphansOf(found, [JSON.stringify({ resources: [{ id: "tuneup-demo" }] })])).toEqual([]);
  });

  it("counts the machines of a cluster's nodes to whoever owns the cluster", () => {
    const node: Found = {
      ...one("instance/i-0a", { group: "eks-nodes-0a1b" }),
      tags: { ...tags, "eks:cluster-name": "tuneup-demo", "eks:nodegroup-name": "nodes" },
    };
    const cluster = one("cluster/tuneup-demo", {}, "eks");
    expect(orphansOf([node, cluster], [JSON.stringify({ arn: cluster.arn })])).toEqual([]);
    expect(orphansOf([node], [JSON.stringify({ arn: `${cluster.arn}-2` })])).toMatchObject([
      { kind: "eks nodegroup", id: "tuneup-demo/nodes" },
    ]);
    // Its name is also that of what the stack made before an `up` was killed, while AWS made the cluster.
    const cut = JSON.stringify({ key: { tags: { Name: "tuneup-demo" } }, pending: { name: "tuneup-demo" } });
    expect(orphansOf([node, cluster], [cut]).map(({ kind }) => kind)).toEqual(["eks cluster", "eks nodegroup"]);
    // A text without that tag owns nothing.
    expect(orphansOf([one("instance/i-0a")], ['{"name":""}'])).toHaveLength(1);
  });

  it.each<[Found, number | null]>([
    [one("instance/i-0a", { instanceType: "g5.xlarge" }), 734.38],
    [one("instance/i-0a"), 0],
    [one("instance/i-0a", { instanceType: "m5.large" }), null],
    [one("volume/vol-0a", { sizeGiB: 100, volumeType: "gp3" }), 8],
    [one("volume/vol-0a", { sizeGiB: 100, volumeType: "io2" }), null],
    [one("natgateway/nat-0a"), 32.85],
    [one("elastic-ip/eipalloc-0a"), 3.65],
    [one("vpc-endpoint/vpce-0a", { zones: 1 }), 7.3],
    [one("vpc-endpoint/vpce-0a"), 0],
    [one("vpc/vpc-0a"), 0],
    [one("loadbalancer/app/demo/1f", {}, "elasticloadbalancing"), 16.43],
    [one("cluster/demo", {}, "eks"), 73],
    [{ arn: "arn:aws:s3:::demo-bucket", tags }, null],
  ])("has the price of %j", (found, usd) => {
    const [orphan] = orphansOf([found], []);
    if (usd === null) expect(orphan?.usdMonth).toBeNull();
    else expect(orphan?.usdMonth).toBeCloseTo(usd, 1);
  });

  it("has the dearest first, and before all what it has no price for", () => {
    const found = [
      one("vpc/vpc-0a"),
      one("natgateway/nat-0a"),
      one("volume/vol-0a"),
      one("instance/i-0a", { instanceType: "g5.xlarge" }),
    ];
    expect(orphansOf(found, []).map(({ id }) => id)).toEqual(["vol-0a", "i-0a", "nat-0a", "vpc-0a"]);
  });

  it("says by its tag which stack made it", () => {
    expect(orphansOf([one("vpc/vpc-0a"), { arn: arn("vpc/vpc-0b"), tags: {} }], [])).toMatchObject([
      { kind: "ec2 vpc", id: "vpc-0a", stack: "demo" },
      { kind: "ec2 vpc", id: "vpc-0b", stack: "-" },
    ]);
  });
});

it.each([
  [arn("loadbalancer/app/demo/1f", "elasticloadbalancing"), "elasticloadbalancing loadbalancer", "1f"],
  ["arn:aws:s3:::demo-bucket", "s3", "demo-bucket"],
  [arn("instance/i-0a"), "ec2 instance", "i-0a"],
])("%s", (name, kind, id) => {
  expect([kindOf(name), idOf(name)]).toEqual([kind, id]);
});
