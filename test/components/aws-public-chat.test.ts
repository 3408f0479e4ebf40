import { beforeEach, describe, expect, it, vi } from "vitest";
import { violations } from "../../policies/pack.ts";
import { asked, type Cloud, declare, type Declared, emptyCloud, ofAws, only, publicUrl } from "./aws-cloud.ts";
import { pictureOf } from "./aws-picture.ts";
import { publicChat, shippedExperiment, type Values } from "./aws-shipped.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: new Date("2026-11-27T12:00:30Z"), toFake: ["Date"] });
  return () => vi.useRealTimers();
});

const withChat = (aws: Values = {}, changes: Values = {}) =>
  shippedExperiment("aws-demo", { ...changes, aws: { publicChat, ...aws } });
const rules = (all: readonly Declared[], way: "Ingress" | "Egress") =>
  all.filter(({ type }) => type.endsWith(`:SecurityGroup${way}Rule`)).map(({ inputs }) => inputs);
const saysOpen = ({ inputs }: Declared) => Object.keys(inputs["tags"] ?? {}).includes("tuneup:open");
const machineGroup = "SecurityGroup(tuneup-exp)";
const balancerGroup = "SecurityGroup(tuneup-exp-chat)";

describe("a public chat", () => {
  it("declares what it always did", async () => {
    const all = await declare(withChat(), { stack: "aws-demo" });
    await expect(pictureOf(all)).toMatchFileSnapshot("aws-declared/aws-demo-public-chat.txt");
  });

  it("adds to an experiment and changes nothing of it, least of all the machine", async () => {
    const usual = ofAws(await declare(shippedExperiment("aws-demo")));
    const all = new Map(ofAws(await declare(withChat())).map((one) => [`${one.type} ${one.name}`, one.inputs]));
    for (const { type, name, inputs } of usual) expect(all.get(`${type} ${name}`), name).toEqual(inputs);
    expect(all.size).toBeGreaterThan(usual.length);
  });

  it("is https alone, with the certificate and no TLS before 1.2", async () => {
    const all = await declare(withChat());
    expect(only(all, "Listener").inputs).toMatchObject({
      ...{ port: 443, protocol: "HTTPS", certificateArn: publicChat.certificate },
      ...{ sslPolicy: "ELBSecurityPolicy-TLS13-1-2-2021-06", loadBalancerArn: "arn:LoadBalancer(tuneup-exp)" },
      defaultActions: [{ type: "forward", targetGroupArn: "arn:TargetGroup(tuneup-exp)" }],
    });
    expect(only(all, "TargetGroup").inputs).toMatchObject({ protocol: "HTTPS", port: 8400, targetType: "instance" });
    expect(only(all, "TargetGroup").inputs["healthCheck"]).toMatchObject({ path: "/healthz", protocol: "HTTPS" });
    const attached = { targetGroupArn: "arn:TargetGroup(tuneup-exp)", targetId: "i-0123456789abcdef0", port: 8400 };
    expect(only(all, "TargetGroupAttachment").inputs).toMatchObject(attached);
    expect(publicUrl).toBe("https://tuneup-exp.elb.amazonaws.com");
  });

  it("lets in the allowed addresses to the load balancer, and the load balancer alone to the machine", async () => {
    const all = await declare(withChat({ vpc: "default" }), { there: given() });
    const balancer = only(all, "LoadBalancer").inputs;
    expect(balancer).toMatchObject({ dropInvalidHeaderFields: true, enableDeletionProtection: false, internal: false });
    expect(balancer["securityGroups"]).toEqual([balancerGroup]);
    const shown = rules(all, "Ingress").map(({ securityGroupId, fromPort, toPort, cidrIpv4, ...more }) => [
      ...[securityGroupId, fromPort, toPort],
      cidrIpv4 ?? more["referencedSecurityGroupId"],
    ]);
    expect(shown.toSorted()).toEqual(
      [
        [machineGroup, 8400, 8400, balancerGroup],
        [balancerGroup, 443, 443, "198.51.100.7/32"],
        [balancerGroup, 443, 443, "203.0.113.0/24"],
      ].toSorted(),
    );
    const out = rules(all, "Egress").filter(({ securityGroupId }) => securityGroupId === balancerGroup);
    expect(out).toHaveLength(1);
    expect(out[0]).toMatchObject({ fromPort: 8400, toPort: 8400, referencedSecurityGroupId: machineGroup });
  });

  it("has the gateway listen where it is reached, at the file's port or the usual one", async () => {
    for (const [port, expected] of [
      [0, 8400],
      [9000, 9000],
    ] as const) {
      const all = await declare(withChat({}, { serve: { port } }), { whole: true });
      const endpoint = all.find(({ type }) => type === "tuneup-host:index:ChatEndpoint");
      expect(endpoint?.inputs["serve"]).toMatchObject({ host: "0.0.0.0", port: expected, tls: "self-signed" });
      expect(only(all, "TargetGroup").inputs["port"]).toBe(expected);
    }
    const usual = await declare(shippedExperiment("aws-demo"), { whole: true });
    const endpoint = usual.find(({ type }) => type === "tuneup-host:index:ChatEndpoint");
    expect(endpoint?.inputs["serve"]).toMatchObject({ host: "127.0.0.1", port: 0 });
    expect(endpoint?.inputs["serve"]).not.toHaveProperty("tls");
    expect(publicUrl).toBeUndefined();
  });
});

describe("the policy pack", () => {
  const open = { ...publicChat, allowedCidrs: ["203.0.113.0/24", "0.0.0.0/0"], everyone: true };

  it.each<[string, Values]>([
    ["some addresses", {}],
    ["no way out", { egress: "none" }],
    ["everyone", { publicChat: open }],
    ["everyone in two halves", { publicChat: { ...open, allowedCidrs: ["0.0.0.0/1", "128.0.0.0/1"] } }],
  ])("finds nothing with %s", async (_what, aws) => {
    const all = ofAws(await declare(withChat(aws)));
    expect(all.length).toBeGreaterThan(30);
    expect(violations(all)).toEqual([]);
  });

  it("finds the open rule where it does not say so, and no other says so", async () => {
    const all = ofAws(await declare(withChat({ publicChat: open })));
    const saying = all.filter(saysOpen);
    expect(saying.map(({ inputs }) => inputs["cidrIpv4"])).toEqual(["0.0.0.0/0"]);
    const silent = all.map((one) =>
      saying.includes(one)
        ? { ...one, inputs: { ...one.inputs, tags: only(all, "LoadBalancer").inputs["tags"] } }
        : one,
    );
    expect(violations(silent).map(({ rule }) => rule)).toEqual(["no-world-open-port"]);
  });

  it("`everyone` alone opens nothing", async () => {
    const all = ofAws(await declare(withChat({ publicChat: { ...publicChat, everyone: true } })));
    expect(all.filter(saysOpen)).toEqual([]);
  });
});

/** A VPC with public subnets in these zones. */
function given(publicSubnets: Readonly<Record<string, readonly string[]>> = twoZones): Cloud {
  return { ...emptyCloud, vpc: { id: "vpc-0aaaaaaaaaaaaaaaa", subnets: ["subnet-a"], publicSubnets } };
}
const twoZones = { "us-east-1b": ["subnet-y", "subnet-x"], "us-east-1a": ["subnet-z"] };

describe("the two zones", () => {
  it.each(["nat", "none"])(
    "of an own network with egress %s are the machine's and the next, both public",
    async (egress) => {
      const all = await declare(withChat({ egress }));
      const subnets = ["exp-public", "exp-public-2"].map((name) => only(all, "Subnet", name));
      expect(subnets.map(({ inputs }) => inputs["availabilityZone"])).toEqual(["us-east-1a", "us-east-1b"]);
      expect(only(all, "LoadBalancer").inputs["subnets"]).toEqual(["Subnet(exp-public)", "Subnet(exp-public-2)"]);
      const tables = all.filter(({ type, name }) => type.endsWith(":RouteTableAssociation") && name !== "exp-private");
      expect(tables.map(({ inputs }) => inputs["routeTableId"])).toEqual(Array(2).fill("RouteTable(exp-public)"));
      const out = all.filter(({ type }) => type.endsWith(":Route")).map(({ name }) => name);
      // Nothing new leads the machine out.
      expect(out.toSorted()).toEqual(egress === "nat" ? ["exp-private", "exp-public"] : ["exp-public"]);
    },
  );

  it("are other than the machine's where that is not the first", async () => {
    const all = await declare(withChat({ zone: "us-east-1b" }));
    expect(only(all, "Subnet", "exp-public-2").inputs["availabilityZone"]).toBe("us-east-1a");
  });

  it("are not asked for without a public chat", async () => {
    await declare(shippedExperiment("aws-demo"));
    expect(asked.map(({ token }) => token.split(":").at(-1))).not.toContain("getAvailabilityZones");
  });

  it("of a given network are looked up, the machine's first, and nothing but groups is made there", async () => {
    const all = await declare(withChat({ vpc: "default" }), { there: given() });
    expect(only(all, "LoadBalancer").inputs["subnets"]).toEqual(["subnet-z", "subnet-x"]);
    expect(all.some(({ type }) => /:(Vpc|Subnet|Route|InternetGateway|NatGateway)$/.test(type))).toBe(false);
    expect(violations(ofAws(all))).toEqual([]);
  });

  it.each<[string, Cloud, Values, RegExp]>([
    [
      "none in the machine's",
      given({ "us-east-1b": ["subnet-y"] }),
      { vpc: "default" },
      /no public subnet in us-east-1a,/,
    ],
    [
      "none in another",
      given({ "us-east-1a": ["subnet-y", "subnet-x"] }),
      { vpc: "default" },
      /no public subnet in a zone beside us-east-1a,/,
    ],
    ["one in the region", { ...emptyCloud, zones: ["a"] }, {}, /^tuneup:aws\.publicChat: us-east-1 has no zone beside/],
  ])("%s: one sentence", async (_what, there, aws, sentence) => {
    await expect(declare(withChat(aws), { there })).rejects.toThrow(sentence);
  });
});
