import { expect, it } from "vitest";
import { refusalFault, refusalIn } from "../../../recipe/aws/refusals.ts";

/** As Pulumi's provider for AWS wraps what AWS answers. */
const wrapped = (doing: string, code: string, said: string, status = 400): string =>
  `sdk-v2/provider2.go:572: sdk.helper_schema: ${doing}: operation error EC2: RunInstances, https response error StatusCode: ${status}, RequestID: 0a1b, api error ${code}: ${said}: provider=aws@7.48.0`;

const capacity =
  "We currently do not have sufficient g6.xlarge capacity in the Availability Zone you requested (us-east-1a). Our system will be working on provisioning additional capacity. You can currently get g6.xlarge capacity by not specifying an Availability Zone in your request or choosing us-east-1b.";
const quota =
  "You have requested more vCPU capacity than your current vCPU limit of 0 allows for the instance bucket that the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.";

it.each([
  ["InsufficientInstanceCapacity", capacity, "aws.instanceTypes: AWS has no free g6.xlarge in us-east-1a now."],
  ["VcpuLimitExceeded", quota, "aws.instanceTypes: Your account may run 0 vCPUs of this kind of machine"],
  ["RequestExpired", "Request has expired.", "aws: Your credentials for AWS have expired."],
  ["ExpiredTokenException", "The security token included in the request is expired", "aws: Your credentials for AWS"],
  ["UnauthorizedOperation", "You are not authorized.", "aws: Your credentials do not allow creating EC2 Instance: You"],
  ["InvalidParameterValue", "Bad value", "aws: AWS refuses creating EC2 Instance: InvalidParameterValue: Bad value."],
])("tells %s in a sentence", (code, said, sentence) => {
  expect(refusalFault(wrapped("creating EC2 Instance", code, said))?.sentence).toContain(sentence);
});

it("tells that a group has no machine, with what the next up does", () => {
  const said =
    "waiting for Auto Scaling Group (tuneup-exp) capacity satisfied: timeout while waiting for state to become 'ok' (last state: 'want exactly 1 healthy instance(s) in Auto Scaling Group, have 0', timeout: 15m0s)";
  const fault = refusalFault(`sdk-v2/provider2.go:572: sdk.helper_schema: ${said}: provider=aws@7.48.0`);
  expect(fault).toMatchObject({ code: "aws-no-spot", blame: "infrastructure" });
  expect(fault?.sentence).toMatch(
    /^aws\.spot: AWS has given no machine of spot capacity: .* `npx tuneup down` stops that. Run this again later: it goes on with/,
  );
});

it("tells that a cluster's name is taken, with what may be the cause and how to end it", () => {
  const said =
    "creating EKS Cluster (tuneup-exp): operation error EKS: CreateCluster, https response error StatusCode: 409, RequestID: 0a1b, ResourceInUseException: Cluster already exists with name: tuneup-exp";
  const fault = refusalFault(`sdk-v2/provider2.go:572: sdk.helper_schema: ${said}: provider=aws@7.48.0`);
  expect(fault).toMatchObject({ code: "eks-cluster-taken", blame: "infrastructure" });
  expect(fault?.sentence).toMatch(
    /^eks: There is a cluster tuneup-exp in AWS .*`aws eks delete-cluster --name tuneup-exp`/,
  );
});

it.each([
  [
    "InsufficientInstanceCapacity",
    capacity,
    "eks.instanceTypes: AWS has no free g6.xlarge in us-east-1a now. Run this again later, or name another type in `eks.instanceTypes`",
  ],
  ["VcpuLimitExceeded", quota, "eks.instanceTypes: Your account may run 0 vCPUs of this kind of machine"],
])("tells %s of a node group, whose error is another one's", (code, words, sentence) => {
  const said = `waiting for EKS Node Group (tuneup-exp:gpu) create: unexpected state 'CREATE_FAILED', wanted target 'ACTIVE'. last error: i-0a: AsgInstanceLaunchFailures: Could not launch On-Demand Instances. ${code} - ${words} Launching EC2 instance failed.`;
  expect(refusalFault(`sdk-v2/provider2.go:572: sdk.helper_schema: ${said}: provider=aws@7.48.0`)?.sentence).toContain(
    sentence,
  );
});

it("leaves out what no user can read", () => {
  const said = "Not authorized. Encoded authorization failure message: AAAA-bbbb";
  expect(refusalIn(wrapped("creating EC2 VPC", "UnauthorizedOperation", said))).toEqual({
    ...{ doing: "creating EC2 VPC", code: "UnauthorizedOperation", said: "Not authorized." },
  });
});

it("finds the refusal in an invoke's frames, and none where AWS refused nothing", () => {
  const invoke = `invocation of aws:ssm/getParameter:getParameter returned an error: invoking aws:ssm/getParameter:getParameter: 1 error occurred:\n\t* reading SSM Parameter (/x): operation error SSM: GetParameter, https response error StatusCode: 400, RequestID: 1, api error ParameterNotFound: no\n\n`;
  expect(refusalIn(invoke)).toMatchObject({ code: "ParameterNotFound", said: "no." });
  expect(refusalIn("tuneup:train.lora_rank: must be a number")).toBeUndefined();
});
