import { type DeclaredResource, type Inputs, isTrue, mapAt, mapsAt, type ResourceRule, shown } from "./rule.ts";

const instance = "aws:ec2/instance:Instance";
const template = "aws:ec2/launchTemplate:LaunchTemplate";

/** Credentials of the machine's role can't be read through a forwarded request, nor from a container's network. */
export const metadataRule: ResourceRule = {
  name: "instance-metadata-v2",
  description: "Instance metadata needs a session token (IMDSv2), and its answers go one hop.",
  known: ["EC2.8", "CKV_AWS_79", "CKV_AWS_341"],
  check: ({ type, inputs }) => {
    if (type !== instance && type !== template) return [];
    const { httpTokens, httpPutResponseHopLimit: hops, httpEndpoint } = mapAt(inputs, "metadataOptions");
    if (httpEndpoint === "disabled") return [];
    return [
      ...(httpTokens === "required"
        ? []
        : [`metadataOptions.httpTokens must be "required", got ${shown(httpTokens)}.`]),
      ...(hops === 1 ? [] : [`metadataOptions.httpPutResponseHopLimit must be 1, got ${shown(hops)}.`]),
    ];
  },
};

/** A machine without an address can't be reached, whatever its groups let in. */
export const publicAddressRule: ResourceRule = {
  name: "no-public-address",
  description: "Machines and subnets give no public address by default.",
  known: ["EC2.9", "EC2.15", "EC2.25", "CKV_AWS_88", "CKV_AWS_130"],
  check: ({ type, inputs }) => {
    const refuse = (path: string): string[] => [`${path} must not be true.`];
    if (type === instance && isTrue(inputs["associatePublicIpAddress"])) return refuse("associatePublicIpAddress");
    if (type === "aws:ec2/subnet:Subnet" && isTrue(inputs["mapPublicIpOnLaunch"])) return refuse("mapPublicIpOnLaunch");
    if (type !== template) return [];
    return mapsAt(inputs, "networkInterfaces").flatMap((one, index) =>
      isTrue(one["associatePublicIpAddress"]) ? refuse(`networkInterfaces[${index}].associatePublicIpAddress`) : [],
    );
  },
};

/** Every disk that a machine gets. */
export const diskEncryptionRule: ResourceRule = {
  name: "disk-encrypted",
  description: "Volumes and the disks of machines are encrypted.",
  known: ["EC2.3", "EC2.7", "CKV_AWS_3", "CKV_AWS_8"],
  check: (resource) => {
    const open = disksOf(resource).filter(({ disk }) => !isTrue(disk["encrypted"]));
    return open.map(({ path, disk }) => `${path}encrypted must be true, got ${shown(disk["encrypted"])}.`);
  },
};

interface Disk {
  /** Where it is among the inputs, with a dot at its end. */
  readonly path: string;
  readonly disk: Inputs;
}

function disksOf({ type, inputs }: DeclaredResource): readonly Disk[] {
  if (type === "aws:ebs/volume:Volume") return [{ path: "", disk: inputs }];
  if (type === instance) {
    // Not said, the root disk is as the image has it.
    const root = { path: "rootBlockDevice.", disk: mapAt(inputs, "rootBlockDevice") };
    return [
      root,
      ...mapsAt(inputs, "ebsBlockDevices").map((disk, index) => ({ path: `ebsBlockDevices[${index}].`, disk })),
    ];
  }
  if (type !== template) return [];
  return mapsAt(inputs, "blockDeviceMappings").flatMap((mapping, index) =>
    mapping["ebs"] === undefined ? [] : [{ path: `blockDeviceMappings[${index}].ebs.`, disk: mapAt(mapping, "ebs") }],
  );
}

/** A key that is never changed opens everything that it ever closed. */
export const keyRotationRule: ResourceRule = {
  name: "key-rotation",
  description: "Keys of KMS are rotated.",
  known: ["KMS.4", "CKV_AWS_7"],
  check: ({ type, inputs }) => {
    // Keys that sign, and keys of others' making, can't be rotated by AWS.
    const spec = inputs["customerMasterKeySpec"] ?? "SYMMETRIC_DEFAULT";
    if (type !== "aws:kms/key:Key" || spec !== "SYMMETRIC_DEFAULT" || isTrue(inputs["enableKeyRotation"])) return [];
    return [`enableKeyRotation must be true, got ${shown(inputs["enableKeyRotation"])}.`];
  },
};
