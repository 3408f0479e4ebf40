import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildAgent } from "../../../scripts/build.ts";
import { runView } from "../../../recipe/protocol.ts";
import { startGatewayForTest, type TestGateway } from "./gateway-fixture.ts";

const hello = { model: "demo", messages: [{ role: "user", content: "hi" }] };

let gateway: TestGateway;
beforeAll(async () => {
  const limits = { requestsPerMinute: 1000, queue: 4, bodyBytes: 500, maxTokens: 64 };
  gateway = await startGatewayForTest({ spec: { limits }, timing: { client: 300 } });
});
afterAll(() => gateway.close());

interface Raw {
  readonly path: string;
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  /** Never ends the body. */
  readonly open?: boolean;
}

/** A request whose path and headers no client library tidies up. */
function raw({ path, method = "GET", headers = {}, body, open = false }: Raw) {
  return new Promise<{ status: number; body: string; headers: NodeJS.Dict<string | string[]> }>((resolve, reject) => {
    const request = httpRequest({ host: "127.0.0.1", port: new URL(gateway.url).port, path, method, headers });
    request.on("error", reject);
    request.on("response", (response) => {
      text(response).then((said) => {
        resolve({ status: response.statusCode ?? 0, body: said, headers: response.headers });
        request.destroy();
      }, reject);
    });
    if (body !== undefined) request.write(body);
    if (open) request.flushHeaders();
    else request.end();
  });
}

const withKey = (): Record<string, string> => ({ authorization: `Bearer ${gateway.apiKey}` });
const codeOf = (body: string): unknown => (JSON.parse(body) as { error: { code: unknown } }).error.code;

describe("the allow-list", () => {
  it.each([
    "/v1",
    "/v1/completions",
    "//v1/models",
    "/v1//models",
    "/v1/models/",
    "/v1/%6dodels",
    "/./v1/models",
    "/x/../v1/models",
    "/V1/MODELS",
    "/docs",
    "/openapi.json",
    "/v1/score/evaluation",
    "/assets/../../package.json",
    "/assets/%2e%2e/app.js",
    "http://127.0.0.1/v1/models",
  ])("answers 404 for %s, even with the key", async (path) => {
    const { status, body } = await raw({ path, headers: withKey() });
    expect({ status, code: codeOf(body) }).toEqual({ status: 404, code: "not_found" });
  });

  it.each([
    ["HEAD", "/v1/models"],
    ["OPTIONS", "/v1/chat/completions"],
    ["TRACE", "/v1/models"],
    ["DELETE", "/v1/models"],
    ["GET", "/v1/chat/completions"],
    ["POST", "/healthz"],
  ])("answers 405 for %s %s", async (method, path) => {
    const { status, headers } = await raw({ path, method, headers: withKey() });
    expect(status).toBe(405);
    expect(headers["allow"]).toBe(path === "/v1/chat/completions" ? "POST" : "GET");
    expect(headers).not.toHaveProperty("access-control-allow-origin");
  });

  it("takes an upgrade for a plain request, and drops CONNECT", async () => {
    const headers = { ...withKey(), connection: "Upgrade", upgrade: "websocket" };
    expect((await raw({ path: "/v1/models", headers })).status).toBe(200);
    const socket = connect(Number(new URL(gateway.url).port), "127.0.0.1");
    socket.write("CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n");
    expect(await text(socket)).toBe("");
  });

  it("answers broken HTTP with an empty 400", async () => {
    const socket = connect(Number(new URL(gateway.url).port), "127.0.0.1");
    socket.write("nonsense\r\n\r\n");
    expect(await text(socket)).toMatch(/^HTTP\/1.1 400 Bad Request\r\n.*\r\n\r\n$/s);
  });
});

describe("the key", () => {
  it.each([
    {},
    { authorization: "Bearer " },
    { authorization: "Bearer tuneup-wrong" },
    { authorization: "Basic dGVzdDp0ZXN0" },
  ])("is needed: %o", async (headers: Record<string, string>) => {
    for (const path of ["/v1/models", "/api/run"]) {
      const { status, body } = await raw({ path, headers });
      expect({ status, code: codeOf(body) }).toEqual({ status: 401, code: "invalid_api_key" });
    }
  });

  it("is asked for before a byte of the body is read", async () => {
    const headers = { "content-length": "400" };
    const { status } = await raw({ path: "/v1/chat/completions", method: "POST", headers, open: true });
    expect(status).toBe(401);
    const expecting = { ...headers, expect: "100-continue" };
    expect((await raw({ path: "/v1/chat/completions", method: "POST", headers: expecting, open: true })).status).toBe(
      401,
    );
  });

  it("is not needed to see that it lives and is ready", async () => {
    expect((await raw({ path: "/healthz" })).status).toBe(200);
    expect((await raw({ path: "/readyz" })).status).toBe(200);
    expect((await raw({ path: "/metrics" })).status).toBe(200);
  });
});

describe("the Host header", () => {
  it.each(["evil.example", "evil.example:8400", "127.0.0.1.evil.example"])("refuses %j", async (host) => {
    expect((await raw({ path: "/healthz", headers: { host } })).status).toBe(403);
  });

  it.each(["localhost", "localhost:9000", "127.0.0.1:1", "[::1]:8400"])("takes %j", async (host) => {
    expect((await raw({ path: "/healthz", headers: { host } })).status).toBe(200);
  });
});

describe("the body", () => {
  const post = (body: string, headers: Record<string, string> = {}) =>
    raw({ path: "/v1/chat/completions", method: "POST", headers: { ...withKey(), ...headers }, body });

  it("may not be larger than the limit, said or not", async () => {
    const said = await raw({
      path: "/v1/chat/completions",
      method: "POST",
      headers: { ...withKey(), "content-length": "501" },
      open: true,
    });
    expect({ status: said.status, code: codeOf(said.body) }).toEqual({ status: 413, code: "body_too_large" });
    const streamed = await post("x".repeat(501), { "transfer-encoding": "chunked" });
    expect(streamed.status).toBe(413);
  });

  it("must arrive in time", async () => {
    const { status, body } = await raw({
      path: "/v1/chat/completions",
      method: "POST",
      headers: { ...withKey(), "content-length": "100" },
      body: "{",
      open: true,
    });
    expect({ status, code: codeOf(body) }).toEqual({ status: 408, code: "body_too_slow" });
  });

  it("may not be compressed", async () => {
    expect((await post("{}", { "content-encoding": "gzip" })).status).toBe(415);
  });

  it.each(["", "{", "[]", '"text"', "null"])("must be a JSON object: %j", async (body) => {
    const answer = await post(body);
    expect({ status: answer.status, code: codeOf(answer.body) }).toEqual({ status: 400, code: "invalid_json" });
  });

  it.each([
    ["model", { model: 1 }],
    ["messages", { messages: [] }],
    ["messages", { messages: "hi" }],
    ["messages[0].role", { messages: [{ role: "wizard", content: "hi" }] }],
    ["messages[0].content", { messages: [{ role: "user", content: [{ type: "image_url" }] }] }],
    ["messages", { messages: [{ role: "assistant", content: "hi" }] }],
    ["messages", { messages: [{ role: "system", content: "hi" }] }],
    ["stream", { stream: "yes" }],
    ["temperature", { temperature: -0.1 }],
    ["temperature", { temperature: 2.1 }],
    ["top_p", { top_p: 0 }],
    ["max_tokens", { max_tokens: 0 }],
    ["max_completion_tokens", { max_completion_tokens: 1.5 }],
    ["stop", { stop: ["1", "2", "3", "4", "5"] }],
    ["seed", { seed: "x" }],
    ["n", { n: 2 }],
  ])("names the parameter that is wrong: %s", async (param, change) => {
    const answer = await post(JSON.stringify({ ...hello, ...change }));
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body)).toMatchObject({ error: { type: "invalid_request_error", param } });
  });

  it("takes null where OpenAI does, and content in parts", async () => {
    const content = [
      { type: "text", text: "hi " },
      { type: "text", text: "you" },
    ];
    const nulls = { stream: null, temperature: null, top_p: null, max_tokens: null, stop: null, seed: null, n: null };
    const answer = await post(JSON.stringify({ ...hello, ...nulls, messages: [{ role: "user", content }] }));
    expect(answer.status).toBe(200);
    expect(answer.body).toContain("You said: hi you");
  });
});

describe("what the page gets", () => {
  it("is the run as the contract says, with the key", async () => {
    const view = runView.parse(await (await gateway.fetch("/api/run")).json());
    expect(view).toMatchObject({ experiment: "demo", models: ["demo"], run: { state: "complete" } });
    expect(view.endpoint.state).toBe("ready");
  });

  it("is a page with a strict policy", async () => {
    await buildAgent();
    const { status, headers, body } = await raw({ path: "/" });
    expect(status).toBe(200);
    expect(body).toContain("<!doctype html>");
    expect(headers["content-security-policy"]).toContain("default-src 'none'; script-src 'self'");
    expect(headers["x-content-type-options"]).toBe("nosniff");
    expect(headers["referrer-policy"]).toBe("no-referrer");
  });
});
