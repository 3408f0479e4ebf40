import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { readFile, stat, writeFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { createServer } from "node:https";
import { type AddressInfo, connect } from "node:net";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { X509Certificate } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ensureCertificate, type KeyPair, readPair } from "../../../agent/endpoints/certificate.ts";
import { declareEndpoint, endpointDelete, endpointRead, endpointWait } from "../../../agent/endpoints/commands.ts";
import { gatewayFiles, gatewayRecord } from "../../../agent/endpoints/endpoint-records.ts";
import { keepPort, privatePort } from "../../../agent/endpoints/ports.ts";
import type { Context } from "../../../agent/context.ts";
import { filesBelow, readRecord } from "../../../agent/files.ts";
import { endpointFetch } from "../../../cli/endpoint-fetch.ts";
import type { EndpointFacts, EndpointSpec } from "../../../recipe/protocol.ts";
import { EndpointFixture } from "./gateway-fixture.ts";
import { launchFakeGateway } from "./gateway-main.ts";

const run = promisify(execFile);
const context: Context = {
  signal: new AbortController().signal,
  progress: () => undefined,
  log: () => undefined,
  data: () => undefined,
};

let fixture: EndpointFixture;
beforeEach(async () => {
  fixture = await EndpointFixture.create();
  await fixture.pretendEnvironment();
  await keepPort(gatewayFiles(fixture.layout, fixture.experiment).port, await privatePort());
  await fixture.completeRun();
});
afterEach(async () => {
  await endpointDelete(place(), context);
  await fixture[Symbol.asyncDispose]();
});

const place = () => ({ dataDirectory: fixture.layout.root, experiment: fixture.experiment });
const folder = () => fixture.layout.endpoint(fixture.experiment).directory;

function declare(changes: Partial<EndpointSpec>, tls?: KeyPair): Promise<EndpointFacts> {
  const spec = fixture.spec(changes);
  const input = { dataDirectory: fixture.layout.root, spec, ...(tls === undefined ? {} : { tls }) };
  return declareEndpoint(input, context, launchFakeGateway);
}

/** A pair of another endpoint's. */
async function otherPair(): Promise<KeyPair> {
  await using other = await EndpointFixture.create();
  const spec = other.spec({ tls: "self-signed" });
  await keepPort(gatewayFiles(other.layout, other.experiment).port, 1);
  await ensureCertificate(other.layout, spec);
  return (await readPair(other.layout, spec))!;
}

const fingerprintOf = (certificate: string) => new X509Certificate(certificate).fingerprint256;

async function gatewayPid(): Promise<number> {
  return (await readRecord(gatewayFiles(fixture.layout, fixture.experiment).gateway, gatewayRecord))!.gateway.pid;
}

/** The whole answer to a question, streamed. */
async function answerOf(facts: EndpointFacts, certificate = facts.certificate): Promise<string> {
  const response = await endpointFetch({ url: facts.url, certificate }, "/v1/chat/completions", {
    method: "POST",
    headers: { authorization: `Bearer ${facts.apiKey}` },
    body: JSON.stringify({ model: "demo", stream: true, messages: [{ role: "user", content: "hi" }] }),
  });
  return response.text();
}

describe("a self-signed certificate", () => {
  it("is pinned by our client: its server is answered by, another is refused, plain http gets nothing", async () => {
    const facts = await declare({ tls: "self-signed" });
    await endpointWait(place(), context);
    expect(facts.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    expect(facts.fingerprint).toBe(fingerprintOf(facts.certificate!));
    expect(await answerOf(facts)).toContain('"content":"hi"');
    const { certificate } = await otherPair();
    await expect(answerOf(facts, certificate)).rejects.toMatchObject({ code: "certificate-other" });
    // Without the pin its issuer is unknown.
    await expect(fetch(`${facts.url}/healthz`)).rejects.toThrow("fetch failed");
    const plain = connect(facts.status.port, "127.0.0.1");
    plain.on("error", () => undefined);
    plain.end(`GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    expect(await text(plain).catch(() => "")).not.toContain("200");
    expect((await endpointRead(place(), context))?.status.state).toBe("ready");
  });

  it("is made once and stays over down and up, readable by its owner only", async () => {
    const first = await declare({ tls: "self-signed" });
    for (const name of ["self-signed.crt", "self-signed.key"]) {
      expect((await stat(`${folder()}/${name}`)).mode & 0o777).toBe(0o600);
    }
    await endpointDelete(place(), context);
    const second = await declare({ tls: "self-signed" });
    expect(second.fingerprint).toBe(first.fingerprint);
    const left = new Date(new X509Certificate(first.certificate!).validTo).getTime() - Date.now();
    expect(Math.round(left / 86_400_000)).toBe(825);
    // An address that it does not name needs another one.
    const moved = await declare({ tls: "self-signed", host: "127.0.0.2" });
    expect(moved.fingerprint).not.toBe(first.fingerprint);
    expect(new X509Certificate(moved.certificate!).checkIP("127.0.0.2")).toBe("127.0.0.2");
    expect((await endpointFetch(moved, "/healthz")).status).toBe(200);
  });

  it("is made anew when its files do not belong together, and the gateway serves the new one", async () => {
    const first = await declare({ tls: "self-signed" });
    const { key } = await otherPair();
    await writeFile(`${folder()}/self-signed.key`, key);
    const second = await declare({ tls: "self-signed" });
    expect(second.fingerprint).not.toBe(first.fingerprint);
    expect((await endpointFetch(second, "/healthz")).status).toBe(200);
  });

  it("is taken by Node and Python as their documents say", async () => {
    const { url } = await declare({ tls: "self-signed" });
    const pem = `${folder()}/self-signed.crt`;
    const node = `const r = await fetch("${url}/healthz"); console.log(r.status)`;
    const asked = run(process.execPath, ["--input-type=module", "-e", node], {
      env: { ...process.env, NODE_EXTRA_CA_CERTS: pem },
    });
    expect((await asked).stdout.trim()).toBe("200");
    const python = `import urllib.request as u; print(u.urlopen("${url}/healthz").status)`;
    const said = await run("python3", ["-c", python], { env: { ...process.env, SSL_CERT_FILE: pem } });
    expect(said.stdout.trim()).toBe("200");
    await expect(run("python3", ["-c", python])).rejects.toThrow("CERTIFICATE_VERIFY_FAILED");
  });

  it("needs openssl, and says so", async () => {
    const path = process.env["PATH"];
    process.env["PATH"] = folder();
    try {
      await expect(declare({ tls: "self-signed" })).rejects.toMatchObject({
        code: "openssl-missing",
        property: "serve.tls",
      });
    } finally {
      process.env["PATH"] = path;
    }
  });
});

/** Is the text in the file? The gateway replaces its status all the time: a temporary file that is listed may be gone. */
function holds(path: string, text: string): boolean {
  try {
    return readFileSync(path).includes(text);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw thrown;
  }
}

describe("a given certificate", () => {
  it("is served; its key lies in one file of its owner's alone; a renewed one is taken by a restart", async () => {
    const pair = await otherPair();
    const fingerprint = fingerprintOf(pair.certificate);
    const tls = { certificate: fingerprint };
    const facts = await declare({ tls }, pair);
    expect(facts.fingerprint).toBe(fingerprint);
    expect((await endpointFetch(facts, "/healthz")).status).toBe(200);
    const secret = pair.key.split("\n")[1]!;
    const holders = (await filesBelow(fixture.layout.root)).filter((path) =>
      holds(`${fixture.layout.root}/${path}`, secret),
    );
    expect(holders).toEqual([`endpoints/${fixture.experiment}/given.key`]);
    expect((await stat(`${folder()}/given.key`)).mode & 0o777).toBe(0o600);
    expect(JSON.stringify(facts)).not.toContain(secret);
    const pid = await gatewayPid();
    expect(await readFile(`/proc/${pid}/cmdline`, "utf8")).not.toContain(secret);
    // The same again does nothing, also without the key.
    await declare({ tls });
    expect(await gatewayPid()).toBe(pid);
    const renewed = await otherPair();
    const changed = { certificate: fingerprintOf(renewed.certificate) };
    await expect(declare({ tls: changed })).rejects.toMatchObject({ code: "certificate-missing" });
    await expect(declare({ tls: changed }, { ...renewed, key: pair.key })).rejects.toMatchObject({
      code: "certificate-missing",
    });
    const after = await declare({ tls: changed }, renewed);
    expect((await endpointFetch(after, "/healthz")).status).toBe(200);
  });
});

describe("our client", () => {
  it("sends nothing, the key neither, to a server with another certificate", async () => {
    const [mine, theirs] = [await otherPair(), await otherPair()];
    const seen: (string | undefined)[] = [];
    const answer = ({ url }: IncomingMessage, response: { end(said: string): void }): void => {
      seen.push(url);
      response.end("hello");
    };
    const server = createServer({ key: theirs.key, cert: theirs.certificate }, answer);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const headers = { authorization: "Bearer secret" };
    const asked = endpointFetch({ url, certificate: mine.certificate }, "/v1/models", { headers });
    await expect(asked).rejects.toMatchObject({ code: "certificate-other" });
    expect(seen).toEqual([]);
    const right = await endpointFetch({ url, certificate: theirs.certificate }, "/v1/models?x=1", { headers });
    expect(await right.text()).toBe("hello");
    expect(seen).toEqual(["/v1/models?x=1"]);
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
    await expect(endpointFetch({ url, certificate: mine.certificate }, "/")).rejects.toMatchObject({
      message: "fetch failed",
      cause: { code: "ECONNREFUSED" },
    });
  });

  it("gives up when it is told to, also in the middle of an answer", async () => {
    const facts = await declare({ tls: "self-signed" });
    await endpointWait(place(), context);
    await fixture.behave({ pieces: Array.from({ length: 200 }, () => "x"), pieceDelay: 50 });
    const stop = new AbortController();
    const response = await endpointFetch(facts, "/v1/chat/completions", {
      method: "POST",
      headers: { authorization: `Bearer ${facts.apiKey}` },
      body: JSON.stringify({ model: "demo", stream: true, messages: [{ role: "user", content: "hi" }] }),
      signal: stop.signal,
    });
    const reader = response.body!.getReader();
    expect((await reader.read()).done).toBe(false);
    stop.abort();
    const readOn = async (): Promise<void> => {
      while (!(await reader.read()).done);
    };
    await expect(readOn()).rejects.toThrow();
  });
});
