import { type Inputs, mapAt, mapsAt, type ResourceRule } from "./rule.ts";

/** Tags that say whose a resource is and how long it is to be. `tuneup audit` finds by them what no stack owns. */
export const requiredTags = ["project", "stack", "run", "owner", "expiry"].map((name) => `tuneup:${name}`);

/** What is billed by the hour or keeps data. */
const taggedTypes = [
  "aws:autoscaling/group:Group",
  "aws:ec2/instance:Instance",
  "aws:ec2/launchTemplate:LaunchTemplate",
  "aws:ec2/natGateway:NatGateway",
  "aws:ec2/eip:Eip",
  "aws:ebs/volume:Volume",
  "aws:ec2/vpc:Vpc",
  "aws:ec2/vpcEndpoint:VpcEndpoint",
  "aws:eks/cluster:Cluster",
  "aws:eks/nodeGroup:NodeGroup",
  "aws:iam/role:Role",
  "aws:kms/key:Key",
  "aws:lb/loadBalancer:LoadBalancer",
  "aws:s3/bucket:Bucket",
  "aws:s3/bucketV2:BucketV2",
];

/** Nothing is forgotten that says whose it is. */
export const tagsRule: ResourceRule = {
  name: "tags",
  description: `What is billed or keeps data has the tags ${requiredTags.join(", ")}.`,
  known: [],
  check: ({ type, inputs }) => {
    if (!taggedTypes.includes(type)) return [];
    const tags = tagsOf(inputs);
    const lacking = requiredTags.filter((name) => typeof tags[name] !== "string" || tags[name] === "");
    return lacking.length === 0 ? [] : [`tags must have ${lacking.join(", ")}.`];
  },
};

/** A group of machines has a list of tags; tags of the provider are in tagsAll. */
function tagsOf(inputs: Inputs): Inputs {
  const listed = mapsAt(inputs, "tags").flatMap(({ key, value }) =>
    typeof key === "string" ? [[key, value] as const] : [],
  );
  return { ...mapAt(inputs, "tagsAll"), ...mapAt(inputs, "tags"), ...Object.fromEntries(listed) };
}
