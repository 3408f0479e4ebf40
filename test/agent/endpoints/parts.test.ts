import fc from "fast-check";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { specDigest } from "../../../agent/endpoints/endpoint-records.ts";
import { engineFault, engineKinds } from "../../../agent/endpoints/engines/availability.ts";
import { KeyCheck, ensureKey, readKey } from "../../../agent/endpoints/key.ts";
import { Rate } from "../../../agent/endpoints/limits.ts";
import { freeMemory } from "../../../agent/endpoints/memory.ts";
import { urlOf } from "../../../agent/endpoints/ports.ts";
import { isLoopback } from "../../../recipe/tls.ts";
import { identityOf, isRunning, signalProcess } from "../../../agent/process-identity.ts";
import { eventData } from "../../../agent/endpoints/server-sent-events.ts";
import { StopStrings } from "../../../agent/endpoints/stop-strings.ts";
import { EndpointFixture } from "./gateway-fixture.ts";

/** `text` broken into pieces at any places. */
const broken = (text: string, cuts: readonly number[]): string[] => {
  const places = [...new Set(cuts.map((cut) => cut % (text.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((start, index) => text.slice(start, places[index] ?? text.length));
};

describe("StopStrings", () => {
  const letters = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 40 });
  const stop = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 4 });

  it("cuts at the first stop string however the text is broken", () => {
    fc.assert(
      fc.property(
        letters,
        fc.array(stop, { maxLength: 4 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        (text, stops, cuts) => {
          const cutter = new StopStrings(stops);
          let said = "";
          let stopped = false;
          for (const piece of broken(text, cuts)) {
            const next = cutter.push(piece);
            said += next.text;
            stopped = next.stopped;
            if (stopped) break;
          }
          if (!stopped) said += cutter.rest();
          // A later stop string may begin earlier: a piece that completes one is cut at the earliest that it completes.
          const ends = stops.flatMap((each) => (text.includes(each) ? [text.indexOf(each) + each.length] : []));
          expect(stopped).toBe(ends.length > 0);
          if (!stopped) expect(said).toBe(text);
          else {
            expect(text.startsWith(said)).toBe(true);
            for (const each of stops) expect(said).not.toContain(each);
          }
        },
      ),
    );
  });
});

describe("eventData", () => {
  it("reads events however the bytes are broken, characters included", async () => {
    const bytes = Buffer.from('data: {"a":"你好"}\r\n\r\n: ping\n\ndata: one\ndata: two\n\nevent: x\ndata: [DONE]\n\n');
    for (let size = 1; size < 12; size++) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        bytes.subarray(index * size, (index + 1) * size),
      );
      const found: string[] = [];
      for await (const data of eventData(
        (async function* () {
          yield* await Promise.resolve(chunks);
        })(),
      )) {
        found.push(data);
      }
      expect(found).toEqual(['{"a":"你好"}', "one\ntwo", "[DONE]"]);
    }
  });
});

describe("Rate", () => {
  it("gives a minute's worth at once, then one each 60/n seconds", () => {
    let now = 0;
    const rate = new Rate(3, () => now);
    for (let index = 0; index < 3; index++) rate.take();
    expect(() => rate.take()).toThrow("Try again in 20 s");
    now += 19_000;
    expect(() => rate.take()).toThrow("Try again in 1 s");
    now += 1000;
    rate.take();
    expect(() => rate.take()).toThrow("3 requests a minute");
  });
});

describe("the key", () => {
  it("is one for two who make it at once, and a torn one is made anew", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tuneup-key-"));
    const path = join(folder, "key");
    const keys = await Promise.all([ensureKey(path), ensureKey(path), ensureKey(path)]);
    expect(new Set(keys).size).toBe(1);
    await writeFile(path, "tuneup-to");
    expect(await readKey(path)).toBeUndefined();
    const check = new KeyCheck(path);
    expect(check.accepts("Bearer tuneup-to")).toBe(false);
    const anew = await ensureKey(path);
    expect(check.accepts(`Bearer ${anew}`)).toBe(true);
    await rm(folder, { recursive: true });
    expect(check.accepts(`Bearer ${anew}`)).toBe(false);
  });
});

describe("a process' identity", () => {
  it("does not fit another process with the same id", () => {
    const own = identityOf(process.pid);
    expect(own && isRunning(own)).toBe(true);
    const earlier = { pid: process.pid, startedAt: "1" };
    expect(isRunning(earlier)).toBe(false);
    expect(signalProcess(earlier, "SIGKILL")).toBe(false);
  });
});

describe("engines", () => {
  it("are found in the environment that has them", async () => {
    await using fixture = await EndpointFixture.create();
    const environment = fixture.spec().environment;
    expect((await engineFault("huggingface", environment))?.code).toBe("engine-unavailable");
    await fixture.pretendEnvironment();
    expect(await engineFault("huggingface", environment)).toBeUndefined();
    expect((await engineFault("sglang", environment))?.sentence).toBe(
      'serve.engine: "sglang" is not installed in the environment of this host. ' +
        "Set serve.engine to huggingface, which is part of it.",
    );
  });

  it.each(["huggingface", "vllm", "sglang"] as const)(
    "%s gets no secret in its words and listens on loopback",
    async (name) => {
      await using fixture = await EndpointFixture.create();
      const output = fixture.layout.run(fixture.run).output;
      const launch = engineKinds[name].launch({
        spec: fixture.spec({ arguments: { default_system: "be kind" } }),
        models: ["demo"],
        output,
        folder: "/endpoints/demo/engine-own",
        wrapper: "/tools/serve.py",
        port: 1234,
        key: "canary",
      });
      const told = JSON.stringify([launch.words, launch.environment, launch.files]);
      expect(launch.words.join(" ")).not.toContain("canary");
      expect(told).toContain("canary");
      expect(told).toContain("127.0.0.1");
      expect(told).not.toContain("0.0.0.0");
      expect(launch.words[0]).toBe("/tools/serve.py");
    },
  );

  it("serve whole weights instead of an adapter, and the untouched base", async () => {
    await using fixture = await EndpointFixture.create();
    const launched = (artifact: "adapter" | "weights", model: string, given: Record<string, unknown> = {}): string =>
      engineKinds.huggingface.launch({
        spec: fixture.spec({ artifact, weights: "/models/m", arguments: given }),
        models: [model],
        output: "/runs/r/output",
        folder: "/f",
        wrapper: "/w",
        port: 1,
        key: "k",
      }).files[0]!.text;
    expect(launched("adapter", "demo")).toMatch(
      /model_name_or_path: \/models\/m\nadapter_name_or_path: \/runs\/r\/output/,
    );
    expect(launched("adapter", "base")).not.toContain("adapter_name_or_path");
    const under = { adapter_name_or_path: "/runs/first/output" };
    expect(launched("adapter", "demo", under)).toContain("adapter_name_or_path: /runs/first/output,/runs/r/output");
    expect(launched("adapter", "base", under)).not.toContain("adapter_name_or_path");
    expect(launched("weights", "demo")).toContain("model_name_or_path: /runs/r/output");
    expect(launched("weights", "base")).toContain("model_name_or_path: /models/m");
  });
});

describe("addresses", () => {
  it.each(["127.0.0.1", "127.8.0.1", "localhost", "::1"])("%s is loopback: the Host header is checked", (host) => {
    expect(isLoopback(host)).toBe(true);
  });

  it.each(["0.0.0.0", "::", "192.168.1.2", "127.0.0.1.example.org"])("%s is not: /metrics needs the key", (host) => {
    expect(isLoopback(host)).toBe(false);
  });

  it("name this machine where the endpoint listens on all", () => {
    expect(urlOf("0.0.0.0", 8400)).toBe("http://127.0.0.1:8400");
    expect(urlOf("::1", 8400)).toBe("http://[::1]:8400");
  });
});

describe("what is read of the machine", () => {
  it("finds its free memory", async () => {
    const bytes = await freeMemory("cpu");
    expect(bytes).toBeGreaterThan(1e6);
    expect(Number.isFinite(bytes)).toBe(true);
  });
});

describe("specDigest", () => {
  it("does not depend on the order of keys", async () => {
    await using fixture = await EndpointFixture.create();
    const spec = fixture.spec({ arguments: { a: 1, b: [{ c: 1, d: 2 }] } });
    const other = Object.fromEntries(Object.entries(spec).reverse()) as typeof spec;
    expect(specDigest({ ...other, arguments: { b: [{ d: 2, c: 1 }], a: 1 } })).toBe(specDigest(spec));
    expect(specDigest({ ...spec, port: 1 })).not.toBe(specDigest(spec));
  });
});
