import { AwsV4Signer } from "aws4fetch";
import { element } from "../agent/s3/bucket.ts";
import { Fault } from "../recipe/fault.ts";
import { awsFault } from "./aws-faults.ts";
import { pause, type Place, type Waiting } from "./aws-machine.ts";

/**
 * Deletes an Auto Scaling group with its machine, and waits until both are gone, so that the name is free for the next. Throws Fault `machine-lingers`,
 * `cancelled`, and those of aws-faults.ts.
 */
export async function deleteGroup(name: string, { region }: Place, waiting: Waiting): Promise<void> {
  const began = performance.now();
  if (!(await isThere(name, region))) return;
  // Refused while an earlier deletion is on its way: that is waited for as well.
  await ask(region, "DeleteAutoScalingGroup", { AutoScalingGroupName: name, ForceDelete: "true" }, /ResourceInUse/);
  for (;;) {
    if (!(await isThere(name, region))) return;
    if (performance.now() - began > waiting.timing.patience) {
      throw new Fault({
        code: "machine-lingers",
        message: `The group ${name} (${region}) was told to end and is still there after ${Math.round(waiting.timing.patience / 60_000)} minutes.`,
        next: "Run this again later: AWS ends it by itself.",
        blame: "infrastructure",
      });
    }
    await pause(waiting);
  }
}

async function isThere(name: string, region: string): Promise<boolean> {
  const told = await ask(region, "DescribeAutoScalingGroups", { "AutoScalingGroupNames.member.1": name });
  return element(told, "AutoScalingGroupName") === name;
}

/** One call of EC2 Auto Scaling, by its query protocol: three calls are no reason for another SDK. `unless`: an error that is none. */
async function ask(
  region: string,
  action: string,
  parameters: Readonly<Record<string, string>>,
  unless?: RegExp,
): Promise<string> {
  const call = { action: `autoscaling:${action}`, region };
  try {
    const { EC2Client } = await import("@aws-sdk/client-ec2");
    const { accessKeyId, secretAccessKey, sessionToken } = await new EC2Client({ region }).config.credentials();
    const body = new URLSearchParams({ Action: action, Version: "2011-01-01", ...parameters }).toString();
    const signer = new AwsV4Signer({
      ...{ method: "POST", url: endpointOf(region), body, service: "autoscaling", region },
      headers: { "content-type": "application/x-www-form-urlencoded" },
      ...{ accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
    });
    const { url, headers } = await signer.sign();
    const answer = await fetch(url, { method: "POST", headers, body, signal: AbortSignal.timeout(30_000) });
    const text = await answer.text();
    const code = element(text, "Code") ?? `HTTP ${answer.status}`;
    if (answer.ok || unless?.test(code) === true) return text;
    const metadata = { $metadata: { httpStatusCode: answer.status } };
    throw Object.assign(new Error(element(text, "Message") ?? code), { name: code, ...metadata });
  } catch (thrown) {
    throw awsFault(thrown, call);
  }
}

function endpointOf(region: string): string {
  const own = process.env["AWS_ENDPOINT_URL_AUTO_SCALING"] ?? process.env["AWS_ENDPOINT_URL"];
  const suffix = region.startsWith("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
  return own ?? `https://autoscaling.${region}.${suffix}/`;
}
