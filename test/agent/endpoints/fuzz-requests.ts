import fc from "fast-check";

/** A client that means no good, or is broken: what it writes on its connection, in which pieces. */
export interface FuzzedRequest {
  readonly pieces: readonly Buffer[];
  /** The right key is in it, as the API wants it. */
  readonly keyed: boolean;
  /** Leaves when it has written, without waiting for an answer. */
  readonly leaves: boolean;
}

/** Stands in every text that is sent without the key: no engine may ever see it. */
export const unkeyedMark = "sent-without-a-key";
/** Stands in every question: no log may ever have it. */
export const promptMark = "words-of-a-prompt";

const routes = ["/v1/chat/completions", "/v1/models", "/api/run", "/metrics", "/healthz", "/readyz", "/"];

const foreignPaths = [
  ...["/v1/score/evaluation", "/docs", "/openapi.json", "/redoc", "/v1", "/v1/", "/v1/completions", "/v1/embeddings"],
  ...["//v1/models", "/v1//chat/completions", "/v1/chat/completions/", "/v1/chat/completions/../../docs", "/V1/MODELS"],
  ...[
    "/v1/%6dodels",
    "/%2e%2e/key",
    "/assets/../../key",
    "/assets/%2e%2e%2f%2e%2e%2fkey",
    "/..;/v1/models",
    "\\v1\\models",
  ],
  ...[
    "*",
    "http://127.0.0.1/v1/models",
    "http://evil.example/v1/chat/completions",
    "//evil.example/v1/models",
    "?",
    "#",
  ],
  ...["/v1/models\u0000", "/v1/models%00", "/v1/models;x=1", "/__proto__", "/constructor", "/toString", "/.git/config"],
];

const method = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("GET", "POST") },
  {
    weight: 2,
    arbitrary: fc.constantFrom("HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT", "PROPFIND"),
  },
  { weight: 1, arbitrary: fc.constantFrom("get", "PRI", "", "GET\t", "P\u0000ST", "G".repeat(5000), "ПОСТ") },
);

const target = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...routes, "/v1/chat/completions") },
  { weight: 3, arbitrary: fc.constantFrom(...foreignPaths) },
  { weight: 1, arbitrary: fc.constantFrom(...routes).map((path) => `${path}?key=x&${"y".repeat(200)}`) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 60 }).map((text) => `/${text}`) },
  { weight: 1, arbitrary: fc.nat(30_000).map((length) => `/${"a".repeat(length)}`) },
);

const version = fc.oneof(
  { weight: 12, arbitrary: fc.constant("HTTP/1.1") },
  { weight: 1, arbitrary: fc.constantFrom("HTTP/1.0", "HTTP/2.0", "HTTP/9.9", "HTTP/1.1 x", "http/1.1", "", "ICY") },
);

const host = fc.oneof(
  { weight: 10, arbitrary: fc.constant(["Host: 127.0.0.1"]) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      [],
      ["Host: evil.example"],
      ["Host: localhost", "Host: evil.example"],
      ["Host:"],
      ["Host: 127.0.0.1.evil.example"],
      ["Host: [::1"],
      ["Host: 127.0.0.1:99999999"],
    ),
  },
);

const oddHeaders = fc.array(
  fc.oneof(
    fc.constantFrom(
      ...["Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: x"],
      ...["Content-Encoding: gzip", "Content-Encoding: identity", "Expect: 100-continue", "Expect: 200-ok"],
      ...["Upgrade: h2c", "Connection: upgrade", "Connection: close", "Connection: keep-alive, x", "TE: trailers"],
      ...["Content-Length: 5", "Content-Length: -1", "Content-Length: 0x10", "Content-Length: 99999999999999999999"],
      ...[
        "Content-Type: text/plain; charset=utf-16",
        "Accept: */*;q=x",
        "Range: bytes=0-",
        "X-Forwarded-For: 127.0.0.1",
      ],
      ...["no colon here", ": empty", "X-Fold: a\r\n b", "X-Null: \u0000", "X-Latin: \u00ff", "Trailer: Authorization"],
      ...["X-Original-URL: /docs", "X-HTTP-Method-Override: POST", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="],
    ),
    fc.nat(20_000).map((length) => `Cookie: ${"c".repeat(length)}`),
    fc.nat(300).map((count) => Array.from({ length: count }, (_, index) => `X-${index}: y`).join("\r\n")),
  ),
  { maxLength: 3 },
);

type Said = string | Buffer;

/** A chat request in which something is another value than it should be, sometimes nothing. */
function chatBody(mark: string): fc.Arbitrary<Said> {
  const sound = {
    model: "demo",
    messages: [{ role: "user", content: mark }],
    max_tokens: 3,
  };
  const field = fc.constantFrom(
    ...["model", "messages", "stream", "stream_options", "temperature", "top_p", "max_tokens", "max_completion_tokens"],
    ...["stop", "seed", "n", "tools", "tool_choice", "__proto__", "constructor", "logit_bias", "user"],
  );
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    fc.constantFrom(1e308, -0, 9_007_199_254_740_991, "\ud800", "a".repeat(3000), [[]], [{ role: "user" }], {}),
  );
  const mutated = fc
    .tuple(fc.dictionary(field, value, { maxKeys: 3 }), fc.boolean())
    .map(([changes, stream]) => JSON.stringify({ ...sound, stream, ...changes }));
  const content = fc.oneof(
    fc.string({ unit: "binary", maxLength: 50 }),
    fc.constantFrom("", "\ud800", "\u0000", " \n"),
  );
  const turn = fc.record({ role: fc.constantFrom("system", "user", "assistant", "tool", "root"), content });
  const talk = fc.array(turn, { maxLength: 6 }).map((messages) => JSON.stringify({ ...sound, messages }));
  const text = JSON.stringify(sound);
  const broken = fc.constantFrom<Said>(
    ...["", "{", "null", "[]", '"text"', "\ufeff" + text, `${text}${text}`, text.slice(0, -1), "[".repeat(15_000)],
    ...['{"a":'.repeat(3000), `{"model":"demo","model":"base"}`, text.replace("3", "1e999"), "x".repeat(30_000)],
    Buffer.from([0xff, 0xfe, 0x7b]),
    Buffer.concat([Buffer.from('{"model":"'), Buffer.from([0xc3, 0x28, 0xed, 0xa0, 0x80]), Buffer.from('"}')]),
    Buffer.from(text, "utf16le"),
  );
  return fc.oneof({ weight: 4, arbitrary: mutated }, { weight: 2, arbitrary: talk }, { weight: 2, arbitrary: broken });
}

function authorization(key: string): fc.Arbitrary<{ readonly lines: readonly string[]; readonly keyed: boolean }> {
  const wrong = [
    ...[[], ["Authorization:"], ["Authorization: Bearer"], [`Authorization: Basic ${key}`], [`Authorization: ${key}`]],
    ...[[`Authorization: Bearer ${key}x`], [`Authorization: Bearer ${key.slice(0, -1)}`], [`X-Api-Key: ${key}`]],
    ...[[`Authorization: Bearer ${key.toUpperCase()}`], [`Cookie: key=${key}`], ["Authorization: Bearer null"]],
    ...[[`Proxy-Authorization: Bearer ${key}`], [`Authorization: Bearer wrong ${key}`], [`Authorization : Bearer x`]],
  ];
  return fc.oneof(
    { weight: 3, arbitrary: fc.constant({ lines: [`Authorization: Bearer ${key}`], keyed: true }) },
    { weight: 2, arbitrary: fc.constantFrom(...wrong).map((lines) => ({ lines, keyed: false })) },
  );
}

const chunkings = ["none", "none", "none", "chunked", "torn", "badsize"] as const;

function framed(
  body: Buffer,
  chunking: (typeof chunkings)[number],
): { readonly lines: string[]; readonly sent: Buffer } {
  if (chunking === "none") return { lines: [`Content-Length: ${body.length}`], sent: body };
  const size = chunking === "badsize" ? "zz" : body.length.toString(16);
  const end = chunking === "torn" ? "" : "\r\n0\r\n\r\n";
  return {
    lines: ["Transfer-Encoding: chunked"],
    sent: Buffer.concat([Buffer.from(`${size}\r\n`), body, Buffer.from(end)]),
  };
}

function cut(all: Buffer, at: readonly number[]): Buffer[] {
  const places = [0, ...at.map((part) => Math.floor(part * all.length)).toSorted((a, b) => a - b), all.length];
  return places.slice(1).map((end, index) => all.subarray(places[index], end));
}

function http(key: string): fc.Arbitrary<FuzzedRequest> {
  const part = fc.double({ min: 0, max: 1, noNaN: true });
  return fc
    .record({
      ...{ method, target, version, host, oddHeaders },
      authorization: authorization(key),
      chunking: fc.constantFrom(...chunkings),
      cuts: fc.oneof(
        { weight: 3, arbitrary: fc.constant([]) },
        { weight: 1, arbitrary: fc.array(part, { maxLength: 5 }) },
      ),
      truncate: fc.oneof({ weight: 8, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: part }),
      leaves: fc.integer({ min: 0, max: 9 }).map((draw) => draw === 0),
      // How much of it is as it should be.
      sane: fc.constantFrom("question", "start", "head", "nothing"),
    })
    .chain((given) => {
      const { keyed } = given.authorization;
      return chatBody(keyed ? promptMark : unkeyedMark).map((body) => ({ ...given, keyed, body: Buffer.from(body) }));
    })
    .map((given) => {
      const { lines, sent } = framed(given.body, given.chunking);
      const odd = given.sane === "start" || given.sane === "nothing" ? given.oddHeaders : [];
      const starts = {
        question: "POST /v1/chat/completions HTTP/1.1",
        start: "POST /v1/chat/completions HTTP/1.1",
        head: `${given.method} ${given.target} HTTP/1.1`,
        nothing: `${given.method} ${given.target} ${given.version}`,
      };
      const start = starts[given.sane];
      const head = [start, ...given.host, ...given.authorization.lines, ...lines, ...odd].join("\r\n");
      const all = Buffer.concat([Buffer.from(`${head}\r\n\r\n`), sent]);
      const length = given.truncate === null ? all.length : Math.floor(given.truncate * all.length);
      const leaves = given.leaves || given.truncate !== null;
      return { pieces: cut(all.subarray(0, length), given.cuts), keyed: given.keyed, leaves };
    });
}

const garbage: fc.Arbitrary<FuzzedRequest> = fc
  .oneof(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    fc.string({ unit: "binary", maxLength: 100 }).map((text) => Buffer.from(`${text}\r\n\r\n`)),
    fc
      .constantFrom(
        "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\r\n\r\n\r\n\r\n",
        "GET / HTTP/1.1\nHost: 127.0.0.1\n\n",
      )
      .map((text) => Buffer.from(text, "latin1")),
  )
  .map((bytes) => ({ pieces: [bytes], keyed: false, leaves: false }));

/** `count` clients, the same for the same seed. */
export function fuzzedRequests(count: number, seed: number, key: string): FuzzedRequest[] {
  const one = fc.oneof({ weight: 9, arbitrary: http(key) }, { weight: 1, arbitrary: garbage });
  return fc.sample(one, { seed, numRuns: count });
}
