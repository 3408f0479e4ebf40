/* eslint-disable @typescript-eslint/no-deprecated -- clients of every age are served */
import OpenAI, { APIError, RateLimitError } from "openai";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startGatewayForTest, type TestGateway, until } from "./gateway-fixture.ts";

const hello = [{ role: "user" as const, content: "tell me more" }];

describe("a ready endpoint", () => {
  let gateway: TestGateway;
  let openai: OpenAI;

  beforeAll(async () => {
    gateway = await startGatewayForTest();
    openai = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.apiKey, maxRetries: 0 });
  });
  afterAll(() => gateway.close());
  beforeEach(() => gateway.fixture.behave({}));

  const lastAsked = (): Record<string, unknown> =>
    gateway.fixture.journal().findLast((entry) => entry.event === "asked")!.body;

  it("lists the experiment's model to the official client", async () => {
    const { data } = await openai.models.list();
    expect(data.map(({ id }) => id)).toEqual(["demo"]);
  });

  it("answers the official client with the engine's counts", async () => {
    const answer = await openai.chat.completions.create({ model: "demo", messages: hello });
    expect(answer.choices).toEqual([
      {
        index: 0,
        message: { role: "assistant", content: "You said: tell me more", refusal: null },
        logprobs: null,
        finish_reason: "stop",
      },
    ]);
    expect(answer.model).toBe("demo");
    expect(answer.id).toMatch(/^chatcmpl-/);
    expect(answer.usage).toEqual({ prompt_tokens: 3, completion_tokens: 5, total_tokens: 8 });
  });

  it("streams piece by piece to the official client, usage last when asked for", async () => {
    const stream = await openai.chat.completions.create({
      model: "demo",
      messages: hello,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks: OpenAI.ChatCompletionChunk[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta.content ?? ""))).toEqual([
      "",
      ...["You ", "said: ", "tell ", "me ", "more"],
      "",
    ]);
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe("stop");
    expect(chunks.at(-1)?.choices).toEqual([]);
    expect(chunks.at(-1)?.usage).toEqual({ prompt_tokens: 3, completion_tokens: 5, total_tokens: 8 });
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
  });

  it("gives no usage in a stream unless asked", async () => {
    const stream = await openai.chat.completions.create({ model: "demo", messages: hello, stream: true });
    for await (const chunk of stream) expect(chunk).not.toHaveProperty("usage");
  });

  it("says `length` when max_tokens cut the answer, and clamps max_tokens to the limit", async () => {
    const answer = await openai.chat.completions.create({ model: "demo", messages: hello, max_tokens: 2 });
    expect(answer.choices[0]).toMatchObject({ finish_reason: "length", message: { content: "You said: " } });
    await openai.chat.completions.create({ model: "demo", messages: hello, max_completion_tokens: 100_000 });
    expect(lastAsked()).toMatchObject({ max_tokens: 256 });
    await openai.chat.completions.create({ model: "demo", messages: hello });
    expect(lastAsked()).toMatchObject({ max_tokens: 256 });
  });

  it("hands on what the engine takes and nothing that breaks it", async () => {
    await openai.chat.completions.create({
      model: "demo",
      messages: [{ role: "developer", content: "be brief" }, ...hello],
      temperature: 0,
      top_p: 0.5,
      seed: 7,
      // LLaMA-Factory would take it for a repetition penalty of 0 and fail.
      presence_penalty: 0,
      user: "somebody",
    });
    expect(lastAsked()).toEqual({
      model: "demo",
      messages: [
        { role: "system", content: "be brief" },
        { role: "user", content: "tell me more" },
      ],
      temperature: 0,
      top_p: 0.5,
      seed: 7,
      max_tokens: 256,
      stream: true,
      stream_options: { include_usage: true, continuous_usage_stats: true },
    });
  });

  it("joins neighbours of one role, as a history with a broken-off answer has them", async () => {
    const messages = [{ role: "user" as const, content: "one" }, ...hello];
    await openai.chat.completions.create({ model: "demo", messages });
    expect(lastAsked()["messages"]).toEqual([{ role: "user", content: "one\n\ntell me more" }]);
  });

  it.each([true, false])("cuts at a stop string across pieces and ends the generation (stream: %s)", async (stream) => {
    const pieces = ["alpha E", "N", "D beta", ...Array.from({ length: 200 }, () => "x ")];
    await gateway.fixture.behave({ pieces, pieceDelay: 10 });
    const cuts = (): number => gateway.fixture.journal().filter(({ event }) => event === "cut").length;
    const before = cuts();
    const body = { model: "demo", messages: hello, stop: ["END", "never"] };
    let said = "";
    let finish: string | null | undefined;
    if (stream) {
      for await (const { choices } of await openai.chat.completions.create({ ...body, stream: true })) {
        said += choices[0]?.delta.content ?? "";
        finish = choices[0]?.finish_reason ?? finish;
      }
    } else {
      const answer = await openai.chat.completions.create(body);
      said = answer.choices[0]?.message.content ?? "";
      finish = answer.choices[0]?.finish_reason;
      expect(answer.usage).toEqual({ prompt_tokens: 3, completion_tokens: 3, total_tokens: 6 });
    }
    expect({ said, finish }).toEqual({ said: "alpha ", finish: "stop" });
    await until(() => cuts() === before + 1);
  });

  it("ends the generation of a client that goes away, and serves the next at once", async () => {
    await gateway.fixture.behave({ pieces: Array.from({ length: 500 }, () => "x "), pieceDelay: 10 });
    const stream = await openai.chat.completions.create({ model: "demo", messages: hello, stream: true });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
    const after = (): number | undefined => gateway.fixture.journal().findLast((entry) => entry.event === "cut")?.after;
    await until(() => gateway.fixture.journal().at(-1)?.event === "cut");
    expect(after()).toBeLessThan(200);
    await gateway.fixture.behave({});
    const answer = await openai.chat.completions.create({ model: "demo", messages: hello });
    expect(answer.choices[0]?.message.content).toBe("You said: tell me more");
  });

  it("gives the official client errors of the class it expects", async () => {
    const wrong = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: "tuneup-wrong", maxRetries: 0 });
    await expect(wrong.models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
    const unknown = openai.chat.completions.create({ model: "gpt-9", messages: hello });
    await expect(unknown).rejects.toMatchObject({ status: 400, code: "model_not_found", param: "model" });
    await expect(unknown).rejects.toBeInstanceOf(APIError);
  });

  it("logs counts and never words", async () => {
    await gateway.chat({ model: "demo", messages: [{ role: "user", content: "the secret word is xylophone" }] });
    expect(gateway.lines.join("\n")).toMatch(
      /POST \/v1\/chat\/completions 200 \d+ms model=demo prompt=\d+ completion=\d+/,
    );
    expect(gateway.lines.join("\n")).not.toContain("xylophone");
    expect(gateway.lines.join("\n")).not.toContain(gateway.apiKey);
  });

  it("counts requests and tokens for Prometheus", async () => {
    const text = await (await fetch(`${gateway.url}/metrics`)).text();
    expect(text).toMatch(/tuneup_requests_total\{route="\/v1\/chat\/completions",status="200"\} [1-9]/);
    expect(text).toMatch(/tuneup_tokens_total\{model="demo",kind="completion"\} [1-9]/);
    expect(text).toContain('tuneup_model_ready{model="demo"} 1');
    expect(text).toMatch(/tuneup_completion_seconds_count [1-9]/);
  });
});

describe("limits", () => {
  it("answers 429 with Retry-After over the rate, and lets the official client know", async () => {
    const limits = { requestsPerMinute: 2, queue: 4, bodyBytes: 1000, maxTokens: 10 };
    await using gateway = await startGatewayForTest({ spec: { limits } });
    const openai = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.apiKey, maxRetries: 0 });
    const ask = () => openai.chat.completions.create({ model: "demo", messages: hello });
    await ask();
    await ask();
    const refused = await ask().catch((thrown: unknown) => thrown);
    expect(refused).toBeInstanceOf(RateLimitError);
    expect(Number((refused as RateLimitError).headers.get("retry-after"))).toBeGreaterThan(0);
  });

  it("answers one at a time, 429 over the queue, and forgets who gave up waiting", async () => {
    const limits = { requestsPerMinute: 100, queue: 1, bodyBytes: 1000, maxTokens: 300 };
    await using gateway = await startGatewayForTest({ spec: { limits } });
    await gateway.fixture.behave({ pieces: Array.from({ length: 250 }, () => "x "), pieceDelay: 20 });
    const running = new AbortController();
    const waiting = new AbortController();
    const asked = (): number => gateway.fixture.journal().filter(({ event }) => event === "asked").length;
    const queued = async (length: number): Promise<boolean> =>
      (await (await fetch(`${gateway.url}/metrics`)).text()).includes(`tuneup_queue_length ${length}\n`);
    const body = { model: "demo", messages: hello, stream: true };
    const first = gateway.chat(body, { signal: running.signal }).catch((): undefined => undefined);
    await until(() => asked() === 1);
    const second = gateway.chat(body, { signal: waiting.signal }).catch((): undefined => undefined);
    await until(() => queued(1));
    const third = await gateway.chat(body);
    expect(third.status).toBe(429);
    expect(third.headers.get("retry-after")).toBe("5");
    expect(await third.json()).toMatchObject({ error: { code: "queue_full", type: "rate_limit_error" } });
    waiting.abort();
    await until(() => queued(0));
    running.abort();
    await Promise.all([first, second]);
    await gateway.fixture.behave({});
    expect((await gateway.chat({ model: "demo", messages: hello })).status).toBe(200);
    expect(asked()).toBe(2);
  });
});
