import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import { pinnedRequest } from "../agent/endpoints/pinned-request.ts";
import { Fault } from "../recipe/fault.ts";

/** Where an endpoint is; `certificate` (PEM) where it is https, the only one that is taken. */
export interface EndpointAddress {
  readonly url: string;
  readonly certificate?: string | undefined;
}

/** What is sent. */
export interface EndpointRequest {
  readonly method?: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

/**
 * `fetch` for an endpoint: over https only the server with the pinned certificate gets the request, whatever address or
 * tunnel leads to it. Another one throws Fault `certificate-other`; what else goes wrong is a TypeError with its cause,
 * as fetch has it. The body of the answer streams.
 */
export async function endpointFetch(
  { url, certificate }: EndpointAddress,
  path: string,
  { method = "GET", headers = {}, body, signal }: EndpointRequest = {},
): Promise<Response> {
  if (certificate === undefined) {
    const given = { method, headers, body: body ?? null };
    return fetch(`${url}${path}`, signal === undefined ? given : { ...given, signal });
  }
  signal?.throwIfAborted();
  try {
    const options = { method, headers: { ...headers }, ...(signal === undefined ? {} : { signal }) };
    const request = pinnedRequest(new URL(path, url), certificate, options);
    request.end(body);
    const [answer] = (await once(request, "response")) as [IncomingMessage];
    return responseOf(answer);
  } catch (thrown) {
    signal?.throwIfAborted();
    if (thrown instanceof Fault) throw thrown;
    throw new TypeError("fetch failed", { cause: thrown });
  }
}

function responseOf(answer: IncomingMessage): Response {
  const headers = new Headers();
  for (const [name, value] of Object.entries(answer.headersDistinct)) {
    for (const one of value ?? []) headers.append(name, one);
  }
  // The two declarations of a web stream are one at run time.
  const body = Readable.toWeb(answer) as ReadableStream<Uint8Array> as unknown as ConstructorParameters<
    typeof Response
  >[0];
  return new Response(body, { status: answer.statusCode ?? 500, headers });
}
