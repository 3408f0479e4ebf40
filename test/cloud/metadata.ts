import { once } from "node:events";
import { rm } from "node:fs/promises";
import { createServer } from "node:http";

/** The metadata service of a machine, as IMDSv2 has it: keys of its role, and the notice of spot capacity. */
export interface Metadata {
  /** The socket behind which it answers. */
  readonly socket: string;
  /** From now on AWS says that it takes the machine back. */
  notice(): void;
  close(): Promise<void>;
}

const role = {
  AccessKeyId: "ASIATESTING",
  SecretAccessKey: "testing",
  Token: "testing",
  Expiration: "2999-01-01T00:00:00Z",
};

/** Opens one at a path. Without a session's token it answers nothing. */
export async function openMetadata(socket: string): Promise<Metadata> {
  let action: object | undefined;
  const answers = (path: string): string | undefined => {
    if (path === "iam/security-credentials/") return "machine";
    if (path === "iam/security-credentials/machine") return JSON.stringify(role);
    return path === "spot/instance-action" && action !== undefined ? JSON.stringify(action) : undefined;
  };
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    if (request.method === "PUT" && path === "/latest/api/token") return response.end("session");
    const answer = answers(path.replace("/latest/meta-data/", ""));
    const isAllowed = request.headers["x-aws-ec2-metadata-token"] === "session";
    response.statusCode = !isAllowed ? 401 : answer === undefined ? 404 : 200;
    return response.end(isAllowed ? answer : undefined);
  });
  server.listen(socket);
  await once(server, "listening");
  return {
    socket,
    notice: () => (action = { action: "terminate", time: new Date(Date.now() + 120_000).toISOString() }),
    close: async () => {
      server.closeAllConnections();
      server.close();
      await rm(socket, { force: true });
    },
  };
}
