import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { HttpError } from "./openai-error.ts";

/** On every answer: nothing of ours may be framed, sniffed, cached or told to other sites. No CORS header, ever. */
export const safeHeaders: Readonly<Record<string, string>> = {
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "X-Frame-Options": "DENY",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Cache-Control": "no-store",
};

export function sendText(
  response: ServerResponse,
  status: number,
  type: string,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, {
    ...safeHeaders,
    "Content-Type": type,
    "Content-Length": Buffer.byteLength(body),
    ...headers,
  });
  response.end(body);
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  sendText(response, status, "application/json; charset=utf-8", JSON.stringify(body));
}

/** Answers with an error; after the head of a stream it becomes the stream's last event. */
export function sendError(response: ServerResponse, error: HttpError): void {
  if (response.writableEnded || response.destroyed) return;
  if (response.headersSent) {
    response.end(`data: ${JSON.stringify(error.body)}\n\n`);
    return;
  }
  const body = JSON.stringify(error.body);
  sendText(response, error.status, "application/json; charset=utf-8", body, error.headers);
}

/** The body as text. Throws 413 over `limit` bytes, 408 after `patience` ms, 415 if compressed, 400 if not UTF-8. */
export async function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  limit: number,
  patience: number,
): Promise<string> {
  const encoding = request.headers["content-encoding"] ?? "identity";
  if (encoding !== "identity") throw new HttpError(415, "unsupported_encoding", "A compressed body is not taken.");
  const tooLarge = new HttpError(413, "body_too_large", `The body may have ${limit} bytes (serve.bodyBytes).`);
  if (Number(request.headers["content-length"] ?? 0) > limit) throw tooLarge;
  if (request.headers.expect?.toLowerCase() === "100-continue") response.writeContinue();
  const bytes = await collect(request, limit, patience, tooLarge);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new HttpError(400, "invalid_json", "The body is not UTF-8.");
  }
}

/** By events and not by an iterator, which would destroy the socket that has to carry the error. */
function collect(request: IncomingMessage, limit: number, patience: number, tooLarge: HttpError): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const finish = (error?: Error): void => {
      clearTimeout(timer);
      request.off("data", take).off("end", finish).off("error", broken).off("close", broken);
      if (error === undefined) resolve(Buffer.concat(chunks));
      else reject(error);
    };
    const take = (chunk: Buffer): void => {
      length += chunk.length;
      if (length > limit) finish(tooLarge);
      else chunks.push(chunk);
    };
    // An error of the stream is a connection that was cut: nothing of ours failed.
    const broken = (): void => finish(clientGone());
    const late = new HttpError(408, "body_too_slow", `The body did not arrive within ${patience / 1000} s.`);
    const timer = setTimeout(() => finish(late), patience);
    request.on("data", take).on("end", finish).on("error", broken).on("close", broken);
  });
}

/** What a request ends with whose client went away. The status is only counted and logged. */
export function clientGone(): HttpError {
  return new HttpError(499, "client_gone", "The client closed the connection.");
}

/** Writes a piece and waits until the client has room for more; one that takes nothing for `patience` ms is gone. */
export async function writePiece(
  response: ServerResponse,
  text: string,
  patience: number,
  signal: AbortSignal,
): Promise<void> {
  if (response.write(text)) return;
  try {
    await once(response, "drain", { signal: AbortSignal.any([signal, AbortSignal.timeout(patience)]) });
  } catch {
    response.destroy();
    throw clientGone();
  }
}

/** Is the Host header one that this machine has by itself? Keeps other sites' names off a loopback endpoint. */
export function isOwnHost(header: string | undefined): boolean {
  return /^(127(\.\d{1,3}){3}|localhost|\[::1\])(:\d{1,5})?$/i.test(header ?? "");
}
