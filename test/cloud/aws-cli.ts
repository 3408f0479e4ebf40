import { connect } from "node:net";

/**
 * What of the AWS CLI a way to a machine needs: `aws ssm start-session --target ID --document-name AWS-StartSSHSession --parameters portNumber=22`,
 * whose stdin and stdout are the connection. The session's stream is plain TCP here.
 */
const words = process.argv.slice(2);
const option = (name: string): string => words[words.indexOf(name) + 1] ?? "";

function fail(message: string, code: number): never {
  process.stderr.write(`\n${message}\n`);
  process.exit(code);
}

if (words[0] === "--version") {
  console.log("aws-cli/2.0.0 stand-in");
  process.exit(0);
}
if (words[0] !== "ssm" || words[1] !== "start-session") fail(`aws: the stand-in knows no ${words.join(" ")}`, 252);
const asked = [option("--document-name"), option("--parameters")].join(" ");
if (asked !== "AWS-StartSSHSession portNumber=22") fail(`aws: the stand-in knows no session ${asked}`, 252);
const key = process.env["AWS_ACCESS_KEY_ID"];
if (key === undefined)
  fail('Unable to locate credentials. You can configure credentials by running "aws configure".', 253);
const answer = await fetch(process.env["AWS_ENDPOINT_URL"] ?? "", {
  method: "POST",
  headers: {
    "x-amz-target": "AmazonSSM.StartSession",
    "content-type": "application/x-amz-json-1.1",
    authorization: `AWS4-HMAC-SHA256 Credential=${key}/20260101/${option("--region")}/ssm/aws4_request`,
  },
  body: JSON.stringify({ Target: option("--target"), DocumentName: "AWS-StartSSHSession" }),
});
const said = (await answer.json()) as { StreamUrl?: string; __type?: string; message?: string };
if (said.StreamUrl === undefined) {
  fail(
    `An error occurred (${said.__type ?? "Unknown"}) when calling the StartSession operation: ${said.message ?? ""}`,
    254,
  );
}
const { hostname, port } = new URL(said.StreamUrl);
const socket = connect(Number(port), hostname);
process.stdin.pipe(socket).pipe(process.stdout);
socket.once("error", () => process.exit(1)).once("close", () => process.exit(0));
