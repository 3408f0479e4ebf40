import { request, type RequestOptions } from "node:http";

/** The service is on the machine itself: where there is none, nobody is waited for. */
const answerMs = 2000;

/** What the metadata service says instead of an answer: its HTTP status, 404 for what is not so. */
export class NoMetadata extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`HTTP ${status}`);
    this.status = status;
  }
}

/**
 * A minute's session with the EC2 instance's metadata service (IMDSv2): asks by a path below latest/meta-data/. Throws Error where there is no such service,
 * NoMetadata where it has no answer.
 */
export async function metadata(): Promise<(path: string) => Promise<string>> {
  const base = (process.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] ?? "http://169.254.169.254").replace(/\/+$/, "");
  const life = { "X-aws-ec2-metadata-token-ttl-seconds": "60" };
  const token = await ask(`${base}/latest/api/token`, { method: "PUT", headers: life });
  return (path) => ask(`${base}/latest/meta-data/${path}`, { headers: { "X-aws-ec2-metadata-token": token } });
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
        else reject(new NoMetadata(answer.statusCode ?? 0));
      });
    });
    asked.once("timeout", () => asked.destroy(new Error("no answer")));
    asked.once("error", reject).end();
  });
}
