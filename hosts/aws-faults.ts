import { oneLine } from "../recipe/aws/refusals.ts";
import { Fault, type FaultFacts } from "../recipe/fault.ts";
import { programMissing } from "./aws-programs.ts";
import { lastLine } from "./ssh-faults.ts";

/** Faults that another try may mend. */
const passing = ["aws-unreachable", "aws-busy", "machine-unreachable"];

/** Is it worth trying again? What is forbidden stays forbidden, and a machine that ended does not come back. */
export function isPassing(fault: Fault): boolean {
  return passing.includes(fault.code);
}

/** Does no machine of the stack run, so that nothing computes there? */
export function isWithoutMachine(thrown: unknown): thrown is Fault {
  return thrown instanceof Fault && (thrown.code === "machine-none" || thrown.code === "machine-ended");
}

/** A call to AWS: as IAM names the action, e.g. `ec2:DescribeInstances`. */
export interface AwsCall {
  readonly action: string;
  readonly region: string;
}

const expired = /^(ExpiredToken(Exception)?|RequestExpired|TokenRefreshRequired)$/;
const refusedNames =
  /^(AuthFailure|InvalidClientTokenId|UnrecognizedClientException|SignatureDoesNotMatch|InvalidSignatureException|InvalidAccessKeyId|MissingAuthenticationToken\w*|IncompleteSignature\w*)$/;
const forbidden = /^(AccessDenied(Exception)?|UnauthorizedOperation|NotAuthorized|OptInRequired)$/;
const busy =
  /^(Throttl\w*|RequestLimitExceeded|TooManyRequests\w*|ServiceUnavailable\w*|InternalError|InternalFailure|InternalServerError|Unavailable|SlowDown|EC2InstanceStateInvalid\w*|EC2InstanceUnavailable\w*)$/;

/** What an AWS client threw, as a Fault. */
export function awsFault(thrown: unknown, call: AwsCall): Fault {
  if (thrown instanceof Fault) return thrown;
  const { name, message } = thrown instanceof Error ? thrown : { name: "", message: String(thrown) };
  return new Fault(factsOf(name, message, statusOf(thrown), call), { cause: thrown });
}

function factsOf(name: string, message: string, status: number | undefined, call: AwsCall): FaultFacts {
  const { action, region } = call;
  const isProvider = /CredentialsProviderError|TokenProviderError|CredentialsError/.test(name);
  if (expired.test(name) || (isProvider && /expired/i.test(message))) return credentialsExpired(region);
  if (isProvider || name === "NoCredentials") return credentialsMissing(message);
  if (refusedNames.test(name)) return credentialsRefused(region, message);
  if (forbidden.test(name) || status === 403) return awsForbidden(action, region);
  if (busy.test(name) || (status !== undefined && (status === 429 || status >= 500))) {
    return {
      code: "aws-busy",
      property: "aws",
      message: `AWS can't answer ${action} in ${region} now: ${oneLine(message || name)}`,
      next: "What runs there is not touched; run this again.",
      blame: "infrastructure",
    };
  }
  if (status === undefined) {
    return {
      code: "aws-unreachable",
      property: "aws.region",
      message: `AWS can't be reached for ${action} in ${region}: ${oneLine(message || name)}`,
      next: "Is there a way to AWS from here, and is aws.region right? What runs there is not touched.",
      blame: "infrastructure",
    };
  }
  return {
    code: "aws-refused",
    property: "aws",
    message: `AWS refuses ${action} in ${region}: ${oneLine(message || name)}`,
    next: "Change what it names in `tuneup:aws`.",
  };
}

function statusOf(thrown: unknown): number | undefined {
  const metadata = (thrown as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata;
  return metadata?.httpStatusCode;
}

/** Nothing says who asks. */
export function credentialsMissing(said: string): FaultFacts {
  return {
    code: "aws-credentials-missing",
    property: "aws",
    message: `There are no credentials for AWS: ${oneLine(said)}`,
    next: "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in with `aws sso login`.",
  };
}

/** They were good once. */
export function credentialsExpired(region: string): FaultFacts {
  return {
    code: "aws-credentials-expired",
    property: "aws",
    message: `Your credentials for AWS have expired (${region}).`,
    next: "Log in again (`aws sso login`, or whatever gave them), then run this again: what runs there goes on meanwhile.",
  };
}

function credentialsRefused(region: string, said: string): FaultFacts {
  return {
    code: "aws-credentials-refused",
    property: "aws",
    message: `AWS does not take your credentials in ${region}: ${oneLine(said)}`,
    next: "Look at them with `aws sts get-caller-identity`; a clock that is wrong makes them invalid too.",
  };
}

/** Who is known and not let. */
export function awsForbidden(action: string, region: string): FaultFacts {
  return {
    code: "aws-forbidden",
    property: "aws",
    message: `Your credentials may not ${action} in ${region}.`,
    next: "docs/aws-iam.json is the policy for whoever runs tuneup; have the account's owner attach it.",
  };
}

/** Why the way through SSM failed, from what ssh and `aws ssm start-session` said. `id`: the machine. */
export function wayFault(said: string, id: string, region: string): Fault {
  if (/session-?manager-?plugin\S* (is )?not found/i.test(said)) return programMissing("session-manager-plugin");
  if (/\baws: (command )?not found|: aws: No such file/.test(said)) return programMissing("aws");
  if (/ExpiredToken|RequestExpired|(token|session) .*expired/i.test(said)) return new Fault(credentialsExpired(region));
  if (/Unable to locate credentials|config profile .* could not be found/.test(said)) {
    return new Fault(credentialsMissing(lastLine(said.replaceAll(/^(kex_|Connection |ssh_).*$/gm, ""))));
  }
  const [, action] = /not authorized to perform: (\S+)/.exec(said) ?? [];
  if (action !== undefined || /AccessDenied/.test(said))
    return new Fault(awsForbidden(action ?? "ssm:StartSession", region));
  if (/REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed/.test(said)) {
    return new Fault({
      code: "machine-hostkey",
      property: "aws",
      message: `${id} shows another host key than before.`,
      next: "A machine's key never changes by itself: end it (`npx tuneup down`) unless you know who set it up anew.",
    });
  }
  if (/Permission denied \(|Too many authentication failures/.test(said)) {
    return new Fault({
      code: "machine-refused",
      property: "aws",
      message: `${id} does not take the key that EC2 Instance Connect gave it: ${oneLine(lastLine(said))}`,
      next: "The machine's image needs the package ec2-instance-connect, as Ubuntu's images of AWS have it.",
      blame: "infrastructure",
    });
  }
  const why = /TargetNotConnected/.test(said)
    ? "SSM has no connection to it."
    : oneLine(lastLine(said) || "ssh gave no reason");
  return new Fault({
    code: "machine-unreachable",
    property: "aws",
    message: `${id} (${region}) can't be reached through SSM: ${why}`,
    next: "What runs there is not touched; run this again.",
    blame: "infrastructure",
  });
}
