import { parseArgs } from "node:util";
import { until } from "../test/agent/endpoints/gateway-fixture.ts";
import { type GatewayProcess, startGatewayProcess } from "../test/agent/endpoints/gateway-process.ts";
import { runLoad } from "../test/agent/endpoints/load.ts";

/**
 * `npm run load [-- --seconds 60 --clients 200]`: the gateway's own process with a fake engine behind it, under clients
 * that ask without a pause; 10 % leave in the middle of an answer, 5 % send what is malformed. Prints what became of the
 * requests and what the gateway holds every tenth of the time. Ends with 1 if a request was not answered or refused as
 * it should be, or something is left over.
 */
const { values } = parseArgs({
  options: { seconds: { type: "string", default: "60" }, clients: { type: "string", default: "200" } },
});
const seconds = Number(values.seconds);
const clients = Number(values.clients);
const megabyte = 1024 ** 2;

interface Held {
  readonly heap: number;
  readonly rss: number;
  readonly descriptors: number;
  readonly generations: number;
}

async function heldBy(gateway: GatewayProcess): Promise<Held> {
  const { heapUsed, external, rss } = await gateway.memory();
  return {
    heap: (heapUsed + external) / megabyte,
    rss: rss / megabyte,
    descriptors: gateway.descriptors(),
    generations: gateway.generations(),
  };
}

async function quiet(gateway: GatewayProcess): Promise<void> {
  await until(async () => (await (await fetch(`${gateway.url}/metrics`)).text()).includes("requests_in_flight 1\n"));
  await until(() => gateway.generations() === 0);
}

function say(what: string, { heap, rss, descriptors, generations }: Held): void {
  const held = `${heap.toFixed(1)} MiB heap, ${rss.toFixed(0)} MiB resident, ${descriptors} descriptors`;
  process.stdout.write(`${what.padEnd(10)} ${held}, ${generations} generations\n`);
}

async function main(): Promise<boolean> {
  await using gateway = await startGatewayProcess({
    limits: { requestsPerMinute: 100_000_000, queue: 16, bodyBytes: 20_000, maxTokens: 64 },
    behaviour: { pieceDelay: 5 },
    places: 4,
  });
  await runLoad(gateway, { clients, requests: 5 * clients, seed: 1 });
  await quiet(gateway);
  const before = await heldBy(gateway);
  say("warmed up", before);
  const load = runLoad(gateway, { clients, seconds, seed: 2 });
  const timer = setInterval(() => void heldBy(gateway).then((held) => say("loaded", held)), seconds * 100);
  const { wrong, ...figures } = await load;
  clearInterval(timer);
  await quiet(gateway);
  await until(() => gateway.descriptors() <= before.descriptors).catch(() => undefined);
  const after = await heldBy(gateway);
  say("after", after);
  const counts = Object.entries(figures).map(([name, count]) => `${name} ${String(count)}`);
  process.stdout.write(`${clients} clients, ${seconds} s: ${counts.join(", ")}, wrong ${wrong.length}\n`);
  for (const what of wrong.slice(0, 10)) process.stdout.write(`  ${what}\n`);
  return wrong.length === 0 && after.descriptors <= before.descriptors && after.heap - before.heap < 3;
}

process.exitCode = (await main()) ? 0 : 1;
