import { describe, expect, it } from "vitest";
import { resourceRules, stackRules, violations } from "../../policies/pack.ts";
import type { DeclaredResource, Inputs } from "../../policies/rule.ts";
import { type Case, type Cases, clusterCases } from "./cluster-cases.ts";
import { requiredTags } from "../../policies/tags.ts";

const resource = (type: string, inputs: Inputs, more: Partial<DeclaredResource> = {}): DeclaredResource => {
  const name = more.name ?? "one";
  return { type, name, urn: `urn:pulumi:test::test::${type}::${name}`, inputs, ...more };
};
const document = (...statements: readonly Inputs[]): string =>
  JSON.stringify({ Version: "2012-10-17", Statement: statements });
const allow = (action: unknown, on: unknown, more: Inputs = {}): string =>
  document({ Effect: "Allow", Action: action, Resource: on, ...more });

const instance = "aws:ec2/instance:Instance";
const template = "aws:ec2/launchTemplate:LaunchTemplate";
const group = "aws:ec2/securityGroup:SecurityGroup";
const closedGroup = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup";
const listener = "aws:lb/listener:Listener";
const block = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock";
const policy = "aws:iam/policy:Policy";
const role = "aws:iam/role:Role";
const key = "aws:kms/key:Key";
const object = "arn:aws:s3:::runs/experiment/*";
const oneKey = "arn:aws:kms:us-east-1:123456789012:key/0a1b";
const v2 = { metadataOptions: { httpTokens: "required", httpPutResponseHopLimit: 1 } };
const locks = { blockPublicAcls: true, blockPublicPolicy: true, ignorePublicAcls: true, restrictPublicBuckets: true };
const tags = Object.fromEntries(requiredTags.map((name) => [name, "x"]));
const everyone = { Effect: "Allow", Action: "sts:AssumeRole", Principal: { AWS: "*" } };
const ec2 = { Effect: "Allow", Action: "sts:AssumeRole", Principal: { Service: "ec2.amazonaws.com" } };

const cases: Cases = {
  "instance-metadata-v2": {
    breaks: [
      [instance, {}],
      [instance, { metadataOptions: { httpTokens: "optional", httpPutResponseHopLimit: 1 } }],
      [template, { metadataOptions: { httpTokens: "required", httpPutResponseHopLimit: 2 } }],
    ],
    keeps: [
      [instance, v2],
      [template, v2],
      [template, { metadataOptions: { httpEndpoint: "disabled" } }],
      [group, {}],
    ],
  },
  "no-public-address": {
    breaks: [
      [instance, { associatePublicIpAddress: true }],
      ["aws:ec2/subnet:Subnet", { mapPublicIpOnLaunch: true }],
      [template, { networkInterfaces: [{ associatePublicIpAddress: "true" }] }],
    ],
    keeps: [
      [instance, {}],
      ["aws:ec2/subnet:Subnet", { mapPublicIpOnLaunch: false }],
      [template, { networkInterfaces: [{ associatePublicIpAddress: "false" }] }],
    ],
  },
  "disk-encrypted": {
    breaks: [
      ["aws:ebs/volume:Volume", { size: 30 }],
      [instance, { rootBlockDevice: { volumeSize: 100 } }],
      [instance, {}],
      [instance, { rootBlockDevice: { encrypted: true }, ebsBlockDevices: [{ deviceName: "/dev/sdf" }] }],
      [template, { blockDeviceMappings: [{ ebs: { encrypted: "false" } }] }],
    ],
    keeps: [
      ["aws:ebs/volume:Volume", { encrypted: true }],
      [instance, { rootBlockDevice: { encrypted: true }, ebsBlockDevices: [{ encrypted: true }] }],
      [template, { blockDeviceMappings: [{ ebs: { encrypted: "true" } }, { virtualName: "ephemeral0" }] }],
    ],
  },
  "key-rotation": {
    breaks: [
      [key, {}],
      [key, { enableKeyRotation: false }],
    ],
    keeps: [
      [key, { enableKeyRotation: true }],
      [key, { customerMasterKeySpec: "RSA_4096" }],
    ],
  },
  "no-world-open-port": {
    breaks: [
      [group, { ingress: [{ fromPort: 22, toPort: 22, cidrBlocks: ["10.0.0.0/8", "0.0.0.0/0"] }] }],
      [group, { ingress: [{ fromPort: 443, toPort: 443, ipv6CidrBlocks: ["::/0"] }] }],
      [group, { ingress: [{ cidrBlocks: ["0.0.0.0/1", "128.0.0.0/1"] }] }],
      ["aws:ec2/securityGroupRule:SecurityGroupRule", { type: "ingress", cidrBlocks: ["0.0.0.0/0"] }],
      ["aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", { cidrIpv4: "0.0.0.0/0", ipProtocol: "-1" }],
    ],
    keeps: [
      [group, {}],
      [group, { egress: [{ cidrBlocks: ["0.0.0.0/0"] }] }],
      [group, { ingress: [{ fromPort: 443, toPort: 443, cidrBlocks: ["203.0.113.0/24"] }] }],
      ["aws:ec2/securityGroupRule:SecurityGroupRule", { type: "egress", cidrBlocks: ["0.0.0.0/0"] }],
    ],
  },
  "default-group-closed": {
    breaks: [
      [closedGroup, { ingress: [{ self: true }] }],
      [closedGroup, { egress: [{ cidrBlocks: ["10.0.0.0/8"] }] }],
    ],
    keeps: [
      [closedGroup, {}],
      [closedGroup, { ingress: [], egress: [] }],
    ],
  },
  "listener-tls": {
    breaks: [
      [listener, { protocol: "HTTP", defaultActions: [{ type: "forward" }] }],
      [listener, { protocol: "HTTPS" }],
      [listener, { protocol: "HTTPS", sslPolicy: "ELBSecurityPolicy-2016-08" }],
      [listener, { protocol: "HTTPS", sslPolicy: "ELBSecurityPolicy-TLS13-1-0-2021-06" }],
    ],
    keeps: [
      [listener, { protocol: "HTTPS", sslPolicy: "ELBSecurityPolicy-TLS13-1-2-2021-06" }],
      [listener, { protocol: "HTTP", defaultActions: [{ type: "redirect" }] }],
    ],
  },
  "bucket-lock-complete": {
    breaks: Object.keys(locks).map((lock): Case => [block, { ...locks, [lock]: false }]),
    keeps: [[block, locks]],
  },
  "no-wildcard-permission": {
    breaks: [
      [policy, { policy: allow("*", object) }],
      [policy, { policy: allow(["s3:GetObject", "s3:*"], object) }],
      [policy, { policy: allow("s3:GetObject", "*") }],
      [policy, { policy: allow(["ec2:DescribeVolumes", "ec2:TerminateInstances"], "*") }],
      [policy, { policy: document({ Effect: "Allow", NotAction: "iam:*", Resource: object }) }],
      ["aws:iam/rolePolicy:RolePolicy", { policy: { Statement: { Effect: "Allow", Action: "*", Resource: object } } }],
      [role, { inlinePolicies: [{ name: "a", policy: allow("ec2:*", object) }] }],
    ],
    keeps: [
      [policy, { policy: allow(["s3:GetObject", "s3:PutObject"], object) }],
      [policy, { policy: allow(["ec2:DescribeVolumes", "ssmmessages:OpenDataChannel"], "*") }],
      [
        policy,
        {
          policy: allow("ec2:TerminateInstances", "*", {
            Condition: { StringEquals: { "aws:ResourceTag/tuneup:run": "a" } },
          }),
        },
      ],
      [policy, { policy: document({ Effect: "Deny", Action: "*", Resource: "*" }) }],
      [policy, { policy: "not JSON" }],
    ],
  },
  "no-blanket-decrypt": {
    breaks: [
      [policy, { policy: allow("kms:Decrypt", "*") }],
      [policy, { policy: allow(["s3:GetObject", "kms:ReEncryptFrom"], "arn:aws:kms:us-east-1:123456789012:key/*") }],
      [policy, { policy: allow("kms:Decrypt", "*", { Condition: { Bool: { "aws:SecureTransport": "true" } } }) }],
    ],
    keeps: [
      [policy, { policy: allow("kms:Decrypt", oneKey) }],
      [policy, { policy: allow("kms:DescribeKey", "arn:aws:kms:*:1:key/*") }],
    ],
  },
  "role-narrow": {
    breaks: [
      [role, { managedPolicyArns: ["arn:aws:iam::aws:policy/AdministratorAccess"] }],
      ["aws:iam/rolePolicyAttachment:RolePolicyAttachment", { policyArn: "arn:aws:iam::aws:policy/PowerUserAccess" }],
      [role, { assumeRolePolicy: document(everyone) }],
      [role, { assumeRolePolicy: document({ ...everyone, Principal: "*" }) }],
    ],
    keeps: [
      [role, { assumeRolePolicy: document(ec2) }],
      [
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        { policyArn: "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore" },
      ],
    ],
  },
  ...clusterCases,
  tags: {
    breaks: [
      [instance, {}],
      [instance, { tags: { ...tags, "tuneup:owner": "" } }],
      ["aws:autoscaling/group:Group", { tags: [{ key: "tuneup:run", value: "a" }] }],
    ],
    keeps: [
      [instance, { tags }],
      [instance, { tagsAll: tags, tags: { Name: "a" } }],
      ["aws:autoscaling/group:Group", { tags: requiredTags.map((name) => ({ key: name, value: "a" })) }],
    ],
  },
};

describe.each(resourceRules)("$name", ({ name, check }) => {
  const { breaks, keeps } = cases[name] ?? { breaks: [], keeps: [] };
  it("is tested both ways", () => expect([breaks.length > 0, keeps.length > 0]).toEqual([true, true]));

  it.each(breaks)("refuses %s %j", (type, inputs) => {
    const found = check(resource(type, inputs));
    expect(found.length).toBeGreaterThan(0);
    for (const sentence of found) expect(sentence).toMatch(/^\S.*\.$/);
  });

  it.each(keeps)("takes %s %j", (type, inputs) => {
    expect(check(resource(type, inputs))).toEqual([]);
  });
});

it("every rule has a name of its own and a sentence", () => {
  const all = [...resourceRules, ...stackRules];
  expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
  expect(Object.keys(cases).toSorted()).toEqual(resourceRules.map(({ name }) => name).toSorted());
  for (const { description } of all) expect(description).toMatch(/^[A-Z].*\.$/);
});

const broken = (resources: readonly DeclaredResource[], rule: string): string[] =>
  violations(resources)
    .filter((one) => one.rule === rule)
    .map(({ message }) => message);

describe("default-group-taken-over", () => {
  const vpc = resource("aws:ec2/vpc:Vpc", { cidrBlock: "10.0.0.0/16", tags });
  it("refuses a VPC without one, also where another VPC has it", () => {
    expect(broken([vpc], "default-group-taken-over")).toHaveLength(1);
    const other = resource(closedGroup, { vpcId: "vpc-1" }, { dependencies: { vpcId: ["urn:another"] } });
    expect(broken([vpc, other], "default-group-taken-over")).toHaveLength(1);
  });
  it("takes one with it, whose id a preview does not know yet", () => {
    const closed = resource(closedGroup, {}, { dependencies: { vpcId: [vpc.urn] } });
    expect(violations([vpc, closed])).toEqual([]);
  });
});

describe("bucket-safe", () => {
  const bucket = resource("aws:s3/bucket:Bucket", { bucket: "runs", tags });
  const plain = { Effect: "Deny", Principal: "*", Action: "s3:*", Resource: object };
  const tlsOnly = { ...plain, Condition: { Bool: { "aws:SecureTransport": "false" } } };
  const parts = (statement: Inputs = tlsOnly, named: Inputs = { bucket: "runs" }): DeclaredResource[] => [
    resource(block, { ...named, ...locks }),
    resource("aws:s3/bucketPolicy:BucketPolicy", { ...named, policy: document(statement) }),
    resource("aws:s3/bucketVersioning:BucketVersioning", { ...named, versioningConfiguration: { status: "Enabled" } }),
  ];

  it("takes a bucket with its three parts, by name or by what they are made from", () => {
    expect(violations([bucket, ...parts()])).toEqual([]);
    const unnamed = parts(tlsOnly, {}).map((part) => ({ ...part, dependencies: { bucket: [bucket.urn] } }));
    expect(violations([bucket, ...unnamed])).toEqual([]);
  });

  it.each([0, 1, 2])("refuses one without part %i, and one whose parts are another's", (index) => {
    expect(broken([bucket, ...parts().toSpliced(index, 1)], "bucket-safe")).toHaveLength(1);
    expect(broken([bucket, ...parts(tlsOnly, { bucket: "other" })], "bucket-safe")).toHaveLength(3);
  });

  it.each<[string, Inputs]>([
    ["denies everything", plain],
    ["allows without TLS", { ...tlsOnly, Effect: "Allow" }],
    ["denies one account", { ...tlsOnly, Principal: { AWS: "arn:aws:iam::123456789012:root" } }],
    ["denies reading alone", { ...tlsOnly, Action: "s3:GetObject" }],
    ["denies with TLS", { ...tlsOnly, Condition: { Bool: { "aws:SecureTransport": "true" } } }],
  ])("refuses a policy that %s", (_what, statement) => {
    expect(broken([bucket, ...parts(statement)], "bucket-safe")).toEqual([expect.stringMatching(/SecureTransport/)]);
  });

  it("refuses versions that are suspended", () => {
    const suspended = resource("aws:s3/bucketVersioning:BucketVersioning", {
      ...{ bucket: "runs", versioningConfiguration: { status: "Suspended" } },
    });
    expect(broken([bucket, ...parts().slice(0, 2), suspended], "bucket-safe")).toEqual([
      expect.stringMatching(/versions/),
    ]);
  });
});

it("says rule, resource and input, and nothing of other providers' resources", () => {
  const open = resource(instance, { tags, ...v2, rootBlockDevice: { encrypted: false } });
  expect(violations([open, resource("random:index/randomId:RandomId", {})])).toEqual([
    { rule: "disk-encrypted", urn: open.urn, message: "rootBlockDevice.encrypted must be true, got false." },
  ]);
});
