import { z } from "zod";
import { connectIfUp } from "../../hosts/connect-if-up.ts";
import type { TrainArguments } from "../../recipe/arguments.ts";
import { endsSoon } from "../../agent/endpoints/certificate.ts";
import { canonicalJson, sha256 } from "../../recipe/canonical.ts";
import { ownEngine } from "../../recipe/engines.ts";
import { type HostSpec, hostSpec } from "../../recipe/host.ts";
import { adapterFolder, layoutOf } from "../../recipe/layout.ts";
import type { CommandOutput, EndpointSpec } from "../../recipe/protocol.ts";
import { endpointSpecOf } from "../../recipe/specs.ts";
import { isLoopback } from "../../recipe/tls.ts";
import { isKept, requireSafe } from "../artifact-safety.ts";
import { type GivenCertificate, readGivenCertificate } from "../given-certificate.ts";
import { type CheckFailure, type Health, healthy, type ResourceKind } from "../kind.ts";
import { hasUnknown, type Wire } from "../values.ts";

const serve = z.object({
  engine: z.enum(["huggingface", "vllm", "sglang"]),
  base: z.union([z.literal("auto"), z.boolean()]),
  host: z.string(),
  port: z.int(),
  requestsPerMinute: z.int(),
  queue: z.int(),
  bodyBytes: z.int(),
  maxTokens: z.int(),
  /** Paths are this machine's. Default: plain http. */
  tls: z.union([z.literal("self-signed"), z.object({ certificate: z.string(), key: z.string() })]).optional(),
});

const inputs = z.object({
  host: hostSpec,
  /** Which machine the host is, where it may become another: what it is to do is said to that one again. */
  machine: z.string().optional(),
  experiment: z.string(),
  serve,
  /** `train` of the experiment: template, system prompt and method are the same in serving. */
  train: z.record(z.string(), z.unknown()),
  /** `tuneup:model.adapter`: what the training merged of it is served under the run's own. */
  adapter: z.string().optional(),
  /** Output of SftJob. */
  run: z.string(),
  /** Outputs of Environment and ModelWeights. */
  environment: z.string(),
  device: z.enum(["cpu", "cuda"]),
  weights: z.string(),
  weightsBytes: z.number(),
  /** SHA-256 of the certificate that `serve.tls` gives: a renewed one is a change. */
  certificate: z.string().optional(),
  /** As SftJob's: destroy takes the endpoint first, so it refuses first. */
  discard: z.boolean().optional(),
});

/** Outputs of `tuneup-host:index:ChatEndpoint`. */
export interface ChatEndpointOutputs extends Health {
  /** Base URL, e.g. `http://127.0.0.1:8400`. OpenAI clients take it with `/v1`. */
  readonly url: string;
  /** The endpoint's key; a secret. */
  readonly apiKey: string;
  /** Model names that it takes: the experiment's, and `base` where memory allows. */
  readonly models: readonly string[];
  /** On a cluster: changes with everything that the endpoint is declared with. */
  readonly revision?: string;
}

/** The OpenAI-compatible chat API in front of an engine. Declared at once; it comes alive when its run is complete. */
export const chatEndpointKind: ResourceKind<typeof inputs, ChatEndpointOutputs> = {
  inputs,
  replaceOn: ["host", "experiment"],
  recorded: ["discard"],
  secretOutputs: ["apiKey"],

  async check(news: Wire) {
    if (hasUnknown([news["host"], news["serve"], news["experiment"]])) return { failures: [] };
    const wanted = serve.parse(news["serve"]);
    const given = await certificateOf(wanted);
    return {
      ...(given === undefined ? {} : { computed: { certificate: given.fingerprint } }),
      failures: [
        ...engineFailures(wanted.engine),
        ...(isInCluster(news["host"]) ? [] : [...tlsFailures(wanted), ...(await portFailures(news, wanted))]),
      ],
    };
  },

  id: ({ experiment }) => experiment,

  async ensure(given, { host, options }) {
    const { experiment, run, environment, device, weights, weightsBytes } = given;
    const { dataDirectory } = host;
    const adapter =
      given.adapter === undefined ? {} : { adapter: adapterFolder(given.adapter, layoutOf(dataDirectory)) };
    // Read again, and never kept: the key is in no state.
    const pair = await certificateOf(given.serve);
    const fingerprint = pair === undefined ? {} : { certificate: pair.fingerprint };
    const prepared = { dataDirectory, experiment, run, environment, device, weights, ...adapter, ...fingerprint };
    const spec = endpointSpecOf(given.train as TrainArguments, given.serve, prepared, weightsBytes);
    const tls = pair === undefined ? {} : { tls: { certificate: pair.certificate, key: pair.key } };
    const facts = await host.run("endpoint-declare", { spec, ...tls }, options);
    return { ...outputsOf(facts), ...revisionOf(spec, given.host) };
  },

  async read({ experiment, host: place }, _old, { host, options }) {
    const found = await host.run("endpoint-read", { experiment }, options);
    if (found === null) return undefined;
    const outputs = { ...outputsOf(found), ...revisionOf(found.spec, place) };
    const renew = found.spec.tls === "self-signed" && (found.certificate === undefined || endsSoon(found.certificate));
    return renew && outputs.state === healthy ? { ...outputs, state: "its certificate ends soon" } : outputs;
  },

  async remove({ host: place, run, experiment, discard }, { host, options }) {
    if (!isKept(place, run)) await requireSafe({ run, experiment, discard }, host);
    await host.run("endpoint-delete", { experiment }, options);
  },
};

/** Its Pods are the cluster's: a network policy says who reaches them, and nothing else has their port. */
function isInCluster(host: unknown): boolean {
  return hostSpec.safeParse(host).data?.kind === "kubernetes";
}

/** A change of anything, limits included, is another Pod there. */
function revisionOf(spec: EndpointSpec, { kind }: HostSpec): { readonly revision?: string } {
  return kind === "kubernetes" ? { revision: sha256(canonicalJson({ ...spec, gateway: undefined })).slice(0, 16) } : {};
}

/** A gateway that lives repairs its engines itself; what only `up` can repair is one that is gone or gave up. */
function outputsOf({ status, url, apiKey, models }: CommandOutput<"endpoint-declare">): ChatEndpointOutputs {
  const broken = status.state === "down" || status.state === "failed" || status.state === "stopped";
  return { url, apiKey, models, state: broken ? status.state : healthy };
}

async function certificateOf({ tls }: z.output<typeof serve>): Promise<GivenCertificate | undefined> {
  return typeof tls === "object" ? readGivenCertificate(tls) : undefined;
}

/** As the design has it: what leaves the machine is encrypted. Programs of their own come this way too. */
function tlsFailures({ host, tls }: z.output<typeof serve>): CheckFailure[] {
  if (tls !== undefined || isLoopback(host)) return [];
  const reason = `is missing while serve.host is ${host}: plain http is for loopback alone. Set it to self-signed or to {certificate, key}.`;
  return [{ property: "serve.tls", reason }];
}

/** Engines that no locked environment of this release has. */
function engineFailures(engine: z.output<typeof serve>["engine"]): CheckFailure[] {
  if (engine === "huggingface" || ownEngine(engine) !== undefined) return [];
  const reason = `${engine} is in no locked environment of this release. Set \`serve.engine\` to huggingface or vllm.`;
  return [{ property: "serve.engine", reason }];
}

async function portFailures(news: Wire, wanted: z.output<typeof serve>): Promise<CheckFailure[]> {
  if (wanted.port === 0) return [];
  const port = { host: wanted.host, port: wanted.port, experiment: String(news["experiment"]) };
  const facts = await (await connectIfUp(hostSpec.parse(news["host"])))?.run("preflight", { port });
  if (facts?.port !== "taken") return [];
  const reason = `${wanted.host}:${wanted.port} is taken by another program. Choose another port, or 0 for any free one.`;
  return [{ property: "serve.port", reason }];
}
