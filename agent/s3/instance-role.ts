import { request, type RequestOptions } from "node:http";
import { z } from "zod";
import { Fault } from "../../recipe/fault.ts";

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

/** The service is on the machine itself: where there is none, nobody is waited for. */
const answerMs = 2000;

let known: { readonly keys: RoleKeys; readonly until: number } | undefined;

/** Keys of the EC2 instance's role through IMDSv2, kept until shortly before they end. Throws Fault `artifacts-credentials` where there are none. */
export async function instanceRole(): Promise<RoleKeys> {
  if (known !== undefined && Date.now() < known.until) return known.keys;
  const base = (process.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] ?? "http://169.254.169.254").replace(/\/+$/, "");
  try {
    const life = { "X-aws-ec2-metadata-token-ttl-seconds": "60" };
    const token = await ask(`${base}/latest/api/token`, { method: "PUT", headers: life });
    const headers = { "X-aws-ec2-metadata-token": token };
    const roles = `${base}/latest/meta-data/iam/security-credentials/`;
    const [role = ""] = (await ask(roles, { headers })).split("\n");
    const found = roleKeys.parse(JSON.parse(await ask(roles + role.trim(), { headers })));
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

/** Not through a proxy, which fetch would take: the service answers the machine alone. */
function ask(url: string, options: RequestOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { ...options, agent: false, timeout: answerMs }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part: string) => (text += part));
      answer.once("error", reject);
      answer.once("end", () => {
        if (answer.statusCode === 200) resolve(text);
        else reject(new Error(`HTTP ${answer.statusCode ?? 0}`));
      });
    });
    asked.once("timeout", () => asked.destroy(new Error("no answer")));
    asked.once("error", reject).end();
  });
}
