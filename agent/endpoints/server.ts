import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createHttpsServer, type Server as HttpsServer } from "node:https";
import type { Socket } from "node:net";
import type { Layout } from "../../recipe/layout.ts";
import type { EndpointStatus } from "../../recipe/lifecycle.ts";
import { keptConnectionMs } from "../../recipe/proxy.ts";
import { answerChat, type ChatRouteOptions, type CompletionFacts, endingError } from "./chat-route.ts";
import { isOwnHost, sendError, sendJson, sendText } from "./http.ts";
import type { KeyPair } from "./certificate.ts";
import type { KeyCheck } from "./key.ts";
import { labelText } from "./metrics.ts";
import { asHttpError, HttpError } from "./openai-error.ts";
import { pages, sendPage } from "./pages.ts";
import { readRunView } from "./run-view.ts";
import type { WaitingRoom } from "./limits.ts";

export interface ServerOptions extends ChatRouteOptions {
  readonly layout: Layout;
  readonly key: KeyCheck;
  readonly room: WaitingRoom;
  /** Serves https with it. Default: plain http. */
  readonly tls?: KeyPair;
  /** Bound to loopback: the Host header is checked, and /metrics needs no key. */
  readonly loopback: boolean;
  readonly status: () => EndpointStatus;
  readonly log: (line: string) => void;
  /** Answers nothing but 503 any more. */
  readonly isEnding: () => boolean;
  /** Answers on, and asks each client to connect anew: others of its kind answer as well. */
  readonly isLeaving: () => boolean;
}

/** With or without TLS. */
export type GatewayServer = Server | HttpsServer;

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly facts: CompletionFacts;
}

interface Route {
  readonly method: "GET" | "POST";
  readonly open: boolean;
  /** Asked too often by machines to be worth a line each. */
  readonly quiet?: boolean;
  readonly answer: (exchange: Exchange) => void | Promise<void>;
}

/** The gateway's HTTP server: an allow-list of routes, everything else is 404. */
export function createGatewayServer(options: ServerOptions): GatewayServer {
  const routes = routesOf(options);
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    void exchange(request, response, routes, options);
  };
  const limits = { requestTimeout: 0, headersTimeout: 15_000, keepAliveTimeout: keptConnectionMs };
  const { tls } = options;
  const server =
    tls === undefined
      ? createServer(limits)
      : createHttpsServer({ ...limits, handshakeTimeout: 15_000, key: tls.key, cert: tls.certificate });
  server.on("request", handle);
  // Whoever asks first whether to send a body is told after the key was looked at.
  server.on("checkContinue", handle);
  server.on("clientError", refuseBroken);
  return server;
}

function routesOf(options: ServerOptions): ReadonlyMap<string, Route> {
  const { models, status, layout, loopback } = options;
  const created = Math.floor(Date.now() / 1000);
  const list: [string, Route][] = [
    [
      "/healthz",
      { method: "GET", open: true, quiet: true, answer: ({ response }) => sendJson(response, 200, { status: "ok" }) },
    ],
    ["/readyz", { method: "GET", open: true, quiet: true, answer: ({ response }) => answerReady(response, options) }],
    [
      "/metrics",
      { method: "GET", open: loopback, quiet: true, answer: ({ response }) => answerMetrics(response, options) },
    ],
    [
      "/v1/models",
      {
        method: "GET",
        open: false,
        answer: ({ response }) => {
          const data = models.ids.map((id) => ({ id, object: "model", created, owned_by: "tuneup" }));
          sendJson(response, 200, { object: "list", data });
        },
      },
    ],
    [
      "/v1/chat/completions",
      {
        method: "POST",
        open: false,
        answer: ({ request, response, facts }) => answerChat(request, response, options, facts),
      },
    ],
    [
      "/api/run",
      {
        method: "GET",
        open: false,
        quiet: true,
        answer: async ({ response }) => sendJson(response, 200, await readRunView(layout, status())),
      },
    ],
  ];
  for (const path of Object.keys(pages)) {
    const answer = ({ response }: Exchange): void => {
      if (!sendPage(response, path)) throw notFound();
    };
    list.push([path, { method: "GET", open: true, quiet: true, answer }]);
  }
  return new Map(list);
}

function notFound(): HttpError {
  return new HttpError(
    404,
    "not_found",
    "There is nothing here. This endpoint has /v1/models and /v1/chat/completions.",
  );
}

async function exchange(
  request: IncomingMessage,
  response: ServerResponse,
  routes: ReadonlyMap<string, Route>,
  options: ServerOptions,
): Promise<void> {
  const startedAt = performance.now();
  // Never decoded or normalised: only these very paths lead anywhere.
  const path = (request.url ?? "").split("?")[0] ?? "";
  const route = routes.get(path);
  const facts: CompletionFacts = {};
  const { metrics, log } = options;
  metrics.inFlight += 1;
  let status = 200;
  if (options.isLeaving()) response.shouldKeepAlive = false;
  try {
    admit(request, route, options);
    await route?.answer({ request, response, facts });
    status = response.statusCode;
  } catch (thrown) {
    const error = asHttpError(thrown);
    status = error.status;
    if (error !== thrown) log(`${request.method ?? ""} ${route === undefined ? "-" : path}: ${placeOf(thrown)}`);
    sendError(response, error);
    leaveUnread(request);
  } finally {
    metrics.inFlight -= 1;
    const name = route === undefined ? "other" : path;
    metrics.request(name, status);
    if (route?.quiet !== true || status >= 500) {
      const { model, usage } = facts;
      const counts = usage === undefined ? "" : ` prompt=${usage.prompt_tokens} completion=${usage.completion_tokens}`;
      const spent = Math.round(performance.now() - startedAt);
      log(
        `${request.method ?? ""} ${name} ${status} ${spent}ms${model === undefined ? "" : ` model=${model}`}${counts}`,
      );
    }
  }
}

/** Throws unless the request may go on to its route. No byte of a body has been read by then. */
function admit(request: IncomingMessage, route: Route | undefined, options: ServerOptions): void {
  if (options.loopback && !isOwnHost(request.headers.host)) {
    throw new HttpError(403, "host_refused", "This endpoint answers for localhost and 127.0.0.1 only.");
  }
  if (route === undefined) throw notFound();
  if (request.method !== route.method) {
    throw new HttpError(405, "method_not_allowed", `Only ${route.method} is answered here.`, {
      headers: { Allow: route.method },
    });
  }
  if (!route.open && !options.key.accepts(request.headers.authorization)) {
    throw new HttpError(
      401,
      "invalid_api_key",
      "The API key is missing or wrong; `npx tuneup endpoint` shows it. Send it as `Authorization: Bearer KEY`.",
      { headers: { "WWW-Authenticate": "Bearer" } },
    );
  }
  if (options.isEnding()) throw endingError();
}

async function answerReady(response: ServerResponse, { models, status }: ServerOptions): Promise<void> {
  const engine = models.engines[0];
  if (engine !== undefined && (await engine.isProven())) {
    sendJson(response, 200, { status: "ready" });
    return;
  }
  const { state, detail } = status();
  sendJson(response, 503, { status: state === "ready" ? "not answering" : state, detail: detail ?? null });
}

function answerMetrics(response: ServerResponse, { models, metrics, room }: ServerOptions): void {
  const gauge = (name: string, help: string, value: number, labels = "") => ({ name, help, labels, value });
  const ages = models.engines.map(({ lastSuccess, models: [model] }) => {
    const age = lastSuccess === undefined ? Infinity : (performance.now() - lastSuccess) / 1000;
    const value = Number.isFinite(age) ? age : -1;
    const help = "Seconds since the model's last token, -1 before the first.";
    return gauge("tuneup_last_token_age_seconds", help, value, labelText({ model: model ?? "" }));
  });
  const ready = models
    .list()
    .map(({ id, state }) =>
      gauge("tuneup_model_ready", "1 if the model answers.", state === "ready" ? 1 : 0, labelText({ model: id })),
    );
  const text = metrics.text([
    gauge("tuneup_requests_in_flight", "Requests under way, this one included.", metrics.inFlight),
    gauge("tuneup_queue_length", "Requests that wait for an engine.", room.length),
    ...ready,
    ...ages,
  ]);
  sendText(response, 200, "text/plain; version=0.0.4; charset=utf-8", text);
}

/** An answer was given before the body was read: takes a little of it, so that the client gets to read the answer. */
function leaveUnread(request: IncomingMessage): void {
  if (request.complete) return;
  request.resume();
  const timer = setTimeout(() => {
    if (!request.complete) request.destroy();
  }, 2000);
  request.once("close", () => clearTimeout(timer));
}

function refuseBroken(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable) return;
  const status =
    error.code === "ERR_HTTP_REQUEST_TIMEOUT"
      ? "408 Request Timeout"
      : error.code === "HPE_HEADER_OVERFLOW"
        ? "431 Request Header Fields Too Large"
        : "400 Bad Request";
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

/** Where an unexpected error was thrown; its message may quote a request, so that is left out. */
function placeOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return "unexpected";
  const frames = (thrown.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
  return `${thrown.name} ${frames
    .slice(0, 3)
    .map((line) => line.trim())
    .join(" ")}`;
}
