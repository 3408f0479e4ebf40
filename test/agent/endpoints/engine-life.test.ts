import { rm, writeFile } from "node:fs/promises";
import OpenAI from "openai";
import { describe, expect, it } from "vitest";
import { endpointStatus, type EndpointStatus } from "../../../recipe/lifecycle.ts";
import { readRecord } from "../../../agent/files.ts";
import { isAlive } from "../../../agent/processes.ts";
import { startGatewayForTest, type TestGateway, until } from "./gateway-fixture.ts";

const hello = [{ role: "user" as const, content: "hi" }];
const body = { model: "demo", messages: hello };

async function statusOf({ fixture }: TestGateway): Promise<EndpointStatus | undefined> {
  return readRecord(fixture.layout.endpoint(fixture.experiment).status, endpointStatus);
}

const stateOf = async (gateway: TestGateway) => (await statusOf(gateway))?.state;

async function errorOf(response: Response) {
  const { error } = (await response.json()) as { error: { code: string; message: string } };
  return { status: response.status, retryAfter: response.headers.get("retry-after"), ...error };
}

describe("while the run trains", () => {
  it("answers 503 with step and time left, and goes on by itself when the model is there", async () => {
    await using gateway = await startGatewayForTest({ training: true });
    await until(async () => (await errorOf(await gateway.chat(body))).message.includes("step"));
    expect(await errorOf(await gateway.chat(body))).toMatchObject({
      status: 503,
      code: "model_not_ready",
      retryAfter: "10",
      message: "The model is still training: step 12 of 24, 0:21 left.",
    });
    expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200);
    expect((await fetch(`${gateway.url}/readyz`)).status).toBe(503);
    await until(async () => (await stateOf(gateway)) === "waiting");
    expect((await (await gateway.fetch("/v1/models")).json()) as object).toMatchObject({ data: [{ id: "demo" }] });
    await gateway.fixture.completeRun();
    await until(async () => (await gateway.chat(body)).ok);
    await until(async () => (await stateOf(gateway)) === "ready");
  });

  it.each([
    [
      { state: "failed" as const, fault: { code: "x", message: "out of memory at step 12." } },
      "Training failed at step 12 of 24: out of memory",
    ],
    [{ state: "stopped" as const }, "Training was stopped at step 12 of 24"],
    [{ supervisorPid: 2 ** 22 + 1 }, "Training broke off at step 12 of 24: its supervisor is dead"],
    [
      { state: "queued" as const, detail: "the GPU is held by other." },
      "waits to be trained: the GPU is held by other.",
    ],
  ])("says how the run stands: %o", async (changes, sentence) => {
    await using gateway = await startGatewayForTest({ training: true });
    await gateway.fixture.trainRun(changes);
    await until(async () => (await errorOf(await gateway.chat(body))).message.includes(sentence));
  });

  it("does not serve a manifest whose files are not there", async () => {
    await using gateway = await startGatewayForTest({
      impatient: true,
      prepare: (fixture) => rm(`${fixture.layout.run(fixture.run).output}/adapter_model.safetensors`),
    });
    await until(async () =>
      (await errorOf(await gateway.chat(body))).message.includes("adapter_model.safetensors is missing"),
    );
    await until(async () => (await stateOf(gateway)) === "waiting");
  });
});

describe("an engine that ends", () => {
  it("is started again, and the answer under way breaks off in OpenAI's shape", async () => {
    await using gateway = await startGatewayForTest();
    await gateway.fixture.behave({ pieces: ["a", "b", "c", "d"], pieceDelay: 50, crashAfter: 2 });
    const openai = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.apiKey, maxRetries: 0 });
    let said = "";
    const reading = (async () => {
      for await (const { choices } of await openai.chat.completions.create({ ...body, stream: true })) {
        said += choices[0]?.delta.content ?? "";
      }
    })();
    await expect(reading).rejects.toMatchObject({ code: "engine_lost", type: "server_error" });
    expect(said).toBe("ab");
    await gateway.fixture.behave({});
    await until(async () => (await gateway.chat(body)).ok);
    const text = await (await fetch(`${gateway.url}/metrics`)).text();
    expect(text).toContain('tuneup_engine_restarts_total{engine="demo"} 1');
  });

  it("gives a plain 503 to a request that is not a stream", async () => {
    await using gateway = await startGatewayForTest({ timing: { backoff: [60_000] } });
    await gateway.fixture.behave({ pieces: ["a", "b"], crashAfter: 1 });
    expect(await errorOf(await gateway.chat(body))).toMatchObject({ status: 503, code: "engine_lost" });
    await until(async () => (await stateOf(gateway)) === "restarting");
    expect(await errorOf(await gateway.chat(body))).toMatchObject({
      status: 503,
      code: "model_not_ready",
      message: "The engine ended with exit code 7. It is started again (failure 1 in a row).",
    });
  });

  it("is given up after 5 failures in a row, with the last lines of its log", async () => {
    await using gateway = await startGatewayForTest({ behaviour: { failAtStart: true }, impatient: true });
    await until(async () => (await stateOf(gateway)) === "failed");
    const status = await statusOf(gateway);
    expect(status?.models[0]).toMatchObject({ failures: 5 });
    expect(status?.detail).toContain("It failed 5 times in a row");
    expect(status?.detail).toContain("RuntimeError: the fake engine was told to fail");
    expect(gateway.fixture.journal().filter(({ event }) => event === "started")).toHaveLength(5);
    expect(await errorOf(await gateway.chat(body))).toMatchObject({ status: 503, message: status?.detail });
  });

  it("counts as failing in a row only until it has answered somebody", async () => {
    await using gateway = await startGatewayForTest({ timing: { backoff: [20] } });
    for (let round = 0; round < 3; round++) {
      await gateway.fixture.behave({ pieces: ["a", "b"], crashAfter: 1 });
      await gateway.chat(body);
      await gateway.fixture.behave({});
      await until(async () => (await gateway.chat(body)).ok);
    }
    await until(async () => (await stateOf(gateway)) === "ready");
  });
});

describe("an engine that hangs", () => {
  it("is found by probes and replaced", async () => {
    await using gateway = await startGatewayForTest();
    const before = (await statusOf(gateway))?.models[0]?.enginePid;
    expect(before).toBeDefined();
    process.kill(before!, "SIGSTOP");
    // Once it is found, and until another one is ready, requests are told so.
    await until(async () => {
      const answer = await gateway.chat(body);
      return answer.status === 503 && (await errorOf(answer)).code === "model_not_ready";
    });
    await until(async () => {
      const own = (await statusOf(gateway))?.models[0];
      return own?.state === "ready" && own.enginePid !== before;
    });
    expect(isAlive(before!)).toBe(false);
    expect((await gateway.chat(body)).ok).toBe(true);
  });

  it("makes /readyz say so, and ends the request that waits for it", async () => {
    await using gateway = await startGatewayForTest({ timing: { backoff: [60_000] } });
    await gateway.fixture.behave({ hang: true });
    const asked = gateway.chat(body);
    await until(async () => (await fetch(`${gateway.url}/readyz`)).status === 503);
    expect(await errorOf(await asked)).toMatchObject({ status: 503, code: "engine_lost" });
    await until(async () => (await statusOf(gateway))?.detail?.includes("sent nothing for too long") ?? false);
  });
});

describe("base", () => {
  const twice = { base: "auto" as const, engineBytes: 1e9 };

  it("has an engine of its own where memory allows it", async () => {
    await using gateway = await startGatewayForTest({ spec: twice, freeBytes: 8e9 });
    await until(async () => (await gateway.chat({ model: "base", messages: hello })).ok);
    expect((await (await gateway.fetch("/v1/models")).json()) as object).toMatchObject({
      data: [{ id: "demo" }, { id: "base" }],
    });
  });

  it("is not listed where it does not, and asking for it says why with figures", async () => {
    await using gateway = await startGatewayForTest({ spec: twice, freeBytes: 1e9 });
    expect(await errorOf(await gateway.chat({ model: "base", messages: hello }))).toMatchObject({
      status: 400,
      code: "model_not_found",
      message:
        "`base` is not served: two engines need 2.5 GB of main memory (estimated) and 1.0 GB are free; " +
        "serve.base: true serves it all the same.",
    });
    expect((await statusOf(gateway))?.models.map(({ id }) => id)).toEqual(["demo"]);
    expect((await statusOf(gateway))?.baseRefused).toContain("1.0 GB are free");
  });
});

describe("records", () => {
  it("are written again when somebody tears them", async () => {
    await using gateway = await startGatewayForTest();
    const { status } = gateway.fixture.layout.endpoint(gateway.fixture.experiment);
    await writeFile(status, '{"schemaVersion": 1, "sta');
    await until(async () => (await stateOf(gateway)) === "ready");
    await rm(status);
    await until(async () => (await stateOf(gateway)) === "ready");
  });
});

describe("the end of a gateway", () => {
  it("lets an answer under way finish, cuts a long one with a sentence, and leaves no engine", async () => {
    await using gateway = await startGatewayForTest({ timing: { drain: 400 } });
    await gateway.fixture.behave({ pieces: ["a", "b", "c"], pieceDelay: 50 });
    const short = gateway.chat(body);
    await until(() => gateway.fixture.journal().some(({ event }) => event === "asked"));
    const pid = (await statusOf(gateway))?.models[0]?.enginePid;
    await gateway.fixture.behave({ pieces: Array.from({ length: 200 }, () => "x "), pieceDelay: 50 });
    const long = gateway.chat({ ...body, stream: true });
    await until(async () => (await (await fetch(`${gateway.url}/metrics`)).text()).includes("tuneup_queue_length 1"));
    const ended = gateway.gateway.close();
    expect((await short).status).toBe(200);
    const cut = await long;
    expect(await cut.text()).toContain('"code":"shutting_down"');
    await ended;
    expect(isAlive(pid!)).toBe(false);
  });
});
