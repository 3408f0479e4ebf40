import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Answer, type Call, errorAnswer, readCall } from "./calls.ts";

/** An error that AWS is to answer. */
export interface Injected {
  /** Of which calls; of a service alone where no action is named. */
  readonly action?: string;
  readonly service?: string;
  readonly code: string;
  readonly message: string;
  readonly status?: number;
}

/** Who stands at the door of the emulator. */
export interface Doorman {
  /** The answer to a call, given instead of the emulator's; undefined: the emulator answers. */
  instead(call: Call): Answer | undefined | Promise<Answer | undefined>;
  /** Hears what the emulator answered well, before the caller does. */
  after(call: Call, body: string): void | Promise<void>;
}

/** The door: what SDK and CLI take for AWS. */
export interface Door {
  /** For AWS_ENDPOINT_URL. */
  readonly address: string;
  readonly port: number;
  /** Actions of all calls so far, as `ec2:RunInstances`. */
  readonly calls: string[];
  /** From now on such calls fail. Returns what ends that. */
  refuse(error: Injected): () => void;
  close(): void;
}

/** Opens one on a free port of loopback in front of the emulator at `behind`. */
export async function openDoor(behind: string, doorman: Doorman): Promise<Door> {
  const calls: string[] = [];
  const errors = new Set<Injected>();
  const answered = async (asked: IncomingMessage, body: Buffer): Promise<Answer> => {
    const call = readCall(asked.method ?? "", asked.url ?? "", asked.headers, body.toString());
    calls.push(`${call.service}:${call.action}`);
    const injected = [...errors].find(
      ({ action, service }) =>
        (action === undefined || action === call.action) && (service === undefined || service === call.service),
    );
    if (injected !== undefined) return errorAnswer(call, injected.code, injected.message, injected.status);
    const own = await doorman.instead(call);
    if (own !== undefined) return own;
    const answer = await passed(behind, asked, body);
    if (answer.status < 300 && call.service !== "s3") await doorman.after(call, answer.body.toString());
    return answer;
  };
  const server = createServer((asked, response) => {
    void bodyOf(asked)
      .then((body) => answered(asked, body))
      .then(
        (answer) => send(response, answer),
        (thrown: unknown) => send(response, { status: 500, type: "text/plain", body: String(thrown) }),
      );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    ...{ address: `http://127.0.0.1:${port}`, port },
    calls,
    refuse: (error) => {
      errors.add(error);
      return () => errors.delete(error);
    },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function bodyOf(asked: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of asked) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** The emulator's own answer. The headers go on as they are, both ways: it knows the service by them, and S3 says much in them. */
async function passed(behind: string, asked: IncomingMessage, body: Buffer): Promise<Answer> {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const { method, headers, url = "/" } = asked;
    request(new URL(url, behind), { method, headers }, resolve).once("error", reject).end(body);
  });
  const { "content-type": type = "text/plain", ...headers } = answer.headers;
  // These two are of one connection alone.
  delete headers.connection;
  delete headers["transfer-encoding"];
  return { status: answer.statusCode ?? 500, type, headers, body: await bodyOf(answer) };
}

function send(response: ServerResponse, { status, type, body, headers = {} }: Answer): void {
  response.writeHead(status, { ...headers, "content-type": type }).end(body);
}
