import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { chatEndpointKind } from "../../provider/resources/chat-endpoint.ts";
import { readGivenCertificate } from "../../provider/given-certificate.ts";
import type { CommandInput, CommandName } from "../../recipe/protocol.ts";
import { fakeHost } from "../fixtures/fake-host.ts";

let folder: string;
const path = (name: string) => join(folder, name);

function makePair(name: string, days: string): void {
  const words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-days", days];
  execFileSync("openssl", [...words, "-keyout", path(`${name}.key`), "-out", path(`${name}.crt`)], { stdio: "ignore" });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tuneup-certificate-"));
  makePair("good", "10");
  makePair("other", "10");
  await writeFile(path("text"), "no certificate");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it.each([
  ["missing", "good.key", /^serve.tls.certificate: .*missing can't be read \(ENOENT\)/],
  ["text", "good.key", /^serve.tls.certificate: .*text is not a certificate in PEM/],
  ["good.crt", "text", /^serve.tls.key: .*text is not a private key without a passphrase in PEM/],
  ["good.crt", "other.key", /^serve.tls.key: .*other.key is not the private key of .*good.crt/],
])("refuses %s with %s", async (certificate, key, sentence) => {
  const read = readGivenCertificate({ certificate: path(certificate), key: path(key) });
  await expect(read).rejects.toMatchObject({ sentence: expect.stringMatching(sentence) as unknown });
});

const inputs = (serve: object) => ({
  host: { kind: "local", dataDirectory: "/data" },
  experiment: "demo",
  serve: {
    ...{ engine: "huggingface", base: "auto", host: "10.0.0.7", port: 0, requestsPerMinute: 1 },
    ...{ queue: 1, bodyBytes: 1, maxTokens: 1, ...serve },
  },
  train: { stage: "sft", template: "qwen", finetuning_type: "lora" },
  ...{ run: "demo-1", environment: "/env", device: "cpu", weights: "/w", weightsBytes: 1 },
});

it("sends the pair beside the spec; inputs and outputs have paths and a fingerprint alone", async () => {
  const tls = { certificate: path("good.crt"), key: path("good.key") };
  const { fingerprint, key } = await readGivenCertificate(tls);
  const checked = await chatEndpointKind.check!(inputs({ tls }), {});
  expect(checked).toEqual({ computed: { certificate: fingerprint }, failures: [] });
  const sent: CommandInput<"endpoint-declare">[] = [];
  const host = fakeHost("/data", (_: CommandName, input) => {
    sent.push(input as CommandInput<"endpoint-declare">);
    return { status: { state: "waiting" }, url: "https://10.0.0.7:8400", apiKey: "k", models: [] };
  });
  const wanted = chatEndpointKind.inputs.parse({ ...inputs({ tls }), ...checked.computed });
  const outputs = await chatEndpointKind.ensure(wanted, { host, options: {} });
  expect(sent[0]?.spec.tls).toEqual({ certificate: fingerprint });
  expect(sent[0]?.tls?.key).toBe(key);
  expect(JSON.stringify([wanted, outputs, sent[0]?.spec])).not.toContain("PRIVATE KEY");
});

it("refuses plain http where it is not on loopback", async () => {
  const { failures } = await chatEndpointKind.check!(inputs({}), {});
  expect(failures.map(({ property }) => property)).toEqual(["serve.tls"]);
  expect((await chatEndpointKind.check!(inputs({ host: "127.0.0.1" }), {})).failures).toEqual([]);
});
