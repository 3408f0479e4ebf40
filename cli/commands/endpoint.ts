import type { Command } from "commander";
import type { Host } from "../../hosts/host.ts";
import type { EndpointFacts } from "../../recipe/protocol.ts";
import type { ReachedEndpoint } from "../reach-endpoint.ts";
import { Fault } from "../../recipe/fault.ts";
import { say } from "../language/say.ts";
import { defaultExperiment } from "../project.ts";

/** `tuneup endpoint`, `open` and `rotate-key`: address and key for scripts, browsers, and a new key. */
export function register(program: Command): void {
  const experiment = ["[experiment]", say("help.experiment"), defaultExperiment] as const;
  program
    .command("endpoint")
    .argument(...experiment)
    .option("--json", "{url, apiKey, models, publicUrl}")
    .option("--shell", say("endpoint.help.shell"))
    .option("--tunnel", say("endpoint.help.tunnel"))
    .option("--certificate", say("endpoint.help.certificate"))
    .description(say("endpoint.help"))
    .action(endpoint);
  program
    .command("open")
    .argument(...experiment)
    .description(say("open.help"))
    .action(open);
  program
    .command("rotate-key")
    .argument(...experiment)
    .description(say("rotate.help"))
    .action(rotate);
}

interface EndpointOptions {
  readonly json?: boolean;
  readonly shell?: boolean;
  readonly tunnel?: boolean;
  readonly certificate?: boolean;
}

async function endpoint(name: string, options: EndpointOptions): Promise<void> {
  if (options.tunnel === true) {
    await atEndpoint(name, async (reached) => {
      process.stdout.write(endpointText(name, reached.facts, options));
      if (reached.tunnelled) await keepTunnel();
    });
    return;
  }
  const { onHost } = await import("../project.ts");
  const { isBehindLoopback } = await import("../reach-endpoint.ts");
  const publicUrl = await publicUrlFor(name, options);
  await onHost(name, async (host) => {
    const facts = await factsOf(host, name);
    process.stdout.write(endpointText(name, { ...facts, publicUrl }, options));
    if (options.certificate === true || host.isHere || !isBehindLoopback(facts.status.host)) return;
    process.stderr.write(`${say("endpoint.remote", { host: host.description, name })}\n`);
  });
}

/** Of a load balancer before it, where the file asks for one and the answer shows it: only Pulumi knows. */
async function publicUrlFor(name: string, { shell, certificate }: EndpointOptions): Promise<string | undefined> {
  if (shell === true || certificate === true) return undefined;
  const { readStack } = await import("../stack-file.ts");
  const { asksForPublicChat, publicUrlOf } = await import("../public-url.ts");
  return asksForPublicChat(await readStack(name)) ? publicUrlOf(name) : undefined;
}

/** What `tuneup endpoint` prints of an endpoint. `publicUrl`: base URL of a load balancer before it. */
export function endpointText(
  name: string,
  { url, apiKey, models, certificate = "", fingerprint, publicUrl }: EndpointFacts & { publicUrl?: string | undefined },
  { shell = false, json = false, certificate: wanted = false }: EndpointOptions,
): string {
  if (wanted) return certificate;
  if (shell) return `export OPENAI_BASE_URL='${url}/v1'\nexport OPENAI_API_KEY='${apiKey}'\n`;
  if (json) return `${JSON.stringify({ url, apiKey, models, publicUrl })}\n`;
  const lines = [
    say("endpoint.url", { url: `${url}/v1` }),
    ...(publicUrl === undefined ? [] : [say("endpoint.public", { url: `${publicUrl}/v1` })]),
    say("endpoint.models", { models: models.join(", ") }),
    say("endpoint.key", { name }),
    ...(fingerprint === undefined ? [] : [say("endpoint.fingerprint", { fingerprint, name })]),
  ];
  return `${lines.join("\n")}\n`;
}

async function open(name: string): Promise<void> {
  await atEndpoint(name, async ({ facts, tunnelled }) => {
    process.stdout.write(`${facts.url}/#key=${facts.apiKey}\n`);
    if (tunnelled) await keepTunnel();
  });
}

async function rotate(name: string): Promise<void> {
  const { onHost } = await import("../project.ts");
  await onHost(name, async (host) => {
    await factsOf(host, name);
    await host.run("endpoint-rotate-key", { experiment: name });
  });
  process.stdout.write(`${say("rotate.done", { name })}\n${say("rotate.outputs")}\n`);
}

/** Until Ctrl-C, which is how it is meant to end. */
async function keepTunnel(): Promise<void> {
  const { interruptSignal } = await import("../interrupt.ts");
  process.stderr.write(`${say("endpoint.tunnel")}\n`);
  await untilAborted(interruptSignal());
}

/** Resolves when `signal` is aborted. A listener for a signal keeps no process alive; this does. */
export async function untilAborted(signal: AbortSignal): Promise<void> {
  const alive = setInterval(() => undefined, 2 ** 30);
  try {
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  } finally {
    clearInterval(alive);
  }
}

/** Does `work` with an experiment's endpoint as it is reached from here; the way to it is closed at the end. */
export async function atEndpoint<T>(experiment: string, work: (reached: ReachedEndpoint) => Promise<T>): Promise<T> {
  const { onHost } = await import("../project.ts");
  const { reachEndpoint } = await import("../reach-endpoint.ts");
  return onHost(experiment, async (host) => {
    const reached = await reachEndpoint(host, await factsOf(host, experiment));
    try {
      return await work(reached);
    } finally {
      await reached.close();
    }
  });
}

/** Facts of an endpoint that is up. Throws Fault where there is none. */
async function factsOf(host: Host, experiment: string): Promise<EndpointFacts> {
  const found = await host.run("endpoint-read", { experiment });
  if (found !== null && found.status.state !== "stopped" && found.status.state !== "down") return found;
  throw new Fault({
    code: "endpoint-down",
    message: `${experiment} has no endpoint${found === null ? "" : ` (it is ${found.status.state})`}.`,
    next: `\`npx tuneup up ${experiment}\` starts it.`,
  });
}
