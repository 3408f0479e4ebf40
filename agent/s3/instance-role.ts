import { z } from "zod";
import { Fault } from "../../recipe/fault.ts";
import { metadata } from "./metadata.ts";

/** Keys of the machine's role, as its metadata service gives them. */
const roleKeys = z.object({
  AccessKeyId: z.string(),
  SecretAccessKey: z.string(),
  Token: z.string(),
  Expiration: z.string(),
});

/** What a request is signed with. */
export interface RoleKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
}

/** They are asked for anew so long before they end; AWS has new ones from five minutes before at the latest. */
const renewedBefore = 5 * 60_000;

let known: { readonly keys: RoleKeys; readonly until: number } | undefined;

/** Keys of the EC2 instance's role through IMDSv2, kept until shortly before they end. Throws Fault `artifacts-credentials` where there are none. */
export async function instanceRole(): Promise<RoleKeys> {
  if (known !== undefined && Date.now() < known.until) return known.keys;
  try {
    const ask = await metadata();
    const roles = "iam/security-credentials/";
    const [role = ""] = (await ask(roles)).split("\n");
    const found = roleKeys.parse(JSON.parse(await ask(roles + role.trim())));
    const keys = { accessKeyId: found.AccessKeyId, secretAccessKey: found.SecretAccessKey, sessionToken: found.Token };
    known = { keys, until: Date.parse(found.Expiration) - renewedBefore };
    return keys;
  } catch (thrown) {
    throw new Fault(
      {
        code: "artifacts-credentials",
        property: "storage.artifacts",
        message: "There are no keys for the bucket: `up` had none, and this machine has no role that gives some.",
        next: "Set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, and run `up` again.",
      },
      { cause: thrown },
    );
  }
}
