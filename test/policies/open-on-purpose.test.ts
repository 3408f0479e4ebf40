import { describe, expect, it } from "vitest";
import { violations } from "../../policies/pack.ts";
import type { Inputs } from "../../policies/rule.ts";
import { openToEveryone } from "../../recipe/aws/tags.ts";

const ingress = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule";
const group = "aws:ec2/securityGroup:SecurityGroup";
const open = { ipProtocol: "tcp", fromPort: 443, toPort: 443, cidrIpv4: "0.0.0.0/0", tags: openToEveryone };

const broken = (type: string, inputs: Inputs) =>
  violations([{ type, name: "one", urn: "one", inputs }]).map(({ rule }) => rule);

describe("a rule that is open on purpose", () => {
  it.each<[string, Inputs]>([
    ["https", open],
    ["https over IPv6", { ...open, cidrIpv4: undefined, cidrIpv6: "::/0" }],
    ["half of the internet", { ...open, cidrIpv4: "128.0.0.0/1" }],
    ["some addresses, which need no tag", { ...open, cidrIpv4: "203.0.113.0/24", tags: {} }],
  ])("passes with %s", (_what, inputs) => {
    expect(broken(ingress, inputs)).toEqual([]);
  });

  it.each<[string, Inputs]>([
    ["no tag", { ...open, tags: {} }],
    ["no tags at all", { ...open, tags: undefined }],
    ["a tag that says less", { ...open, tags: { "tuneup:open": "yes" } }],
    ["a description in its place", { ...open, tags: undefined, description: "tuneup:open=everyone" }],
    ["ssh", { ...open, fromPort: 22, toPort: 22 }],
    ["https among others", { ...open, fromPort: 0 }],
    ["others after https", { ...open, toPort: 65_535 }],
    ["UDP", { ...open, ipProtocol: "udp" }],
    ["every protocol", { ...open, ipProtocol: "-1" }],
    ["no ports", { ...open, fromPort: undefined, toPort: undefined }],
  ])("breaks the pack with %s", (_what, inputs) => {
    expect(broken(ingress, inputs)).toEqual(["no-world-open-port"]);
  });

  it("is a rule of its own: a group with the tag opens nothing", () => {
    const inside = { fromPort: 443, toPort: 443, protocol: "tcp", cidrBlocks: ["0.0.0.0/0"] };
    expect(broken(group, { tags: openToEveryone, ingress: [{ ...inside, ...open }] })).toEqual(["no-world-open-port"]);
    const older = { ...open, ...inside, type: "ingress" };
    expect(broken("aws:ec2/securityGroupRule:SecurityGroupRule", older)).toEqual(["no-world-open-port"]);
  });
});
