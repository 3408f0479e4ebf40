import { expect, it } from "vitest";
import { reachEndpoint } from "../../cli/reach-endpoint.ts";
import type { EndpointFacts } from "../../recipe/protocol.ts";
import { fakeHost } from "../fixtures/fake-host.ts";

function factsAt(host: string, url: string): EndpointFacts {
  const status = {
    schemaVersion: 1,
    experiment: "x",
    run: "x-1",
    state: "ready",
    host,
    port: 8400,
    models: [],
  } as const;
  return { status: { ...status, models: [], updatedAt: "2026-01-01T00:00:00Z" }, url, apiKey: "k", models: ["x"] };
}

/** Another machine, and what its tunnels were asked for. */
function remote() {
  const tunnels: (number | "closed")[] = [];
  const host = fakeHost("/there", () => null, {
    isHere: false,
    tunnel: (port) => {
      tunnels.push(port);
      return Promise.resolve({ port: 41_000, close: () => Promise.resolve(void tunnels.push("closed")) });
    },
  });
  return { host, tunnels };
}

it("leaves this machine's endpoint as it is", async () => {
  const facts = factsAt("127.0.0.1", "http://127.0.0.1:8400");
  const reached = await reachEndpoint(
    fakeHost("/here", () => null),
    facts,
  );
  expect(reached).toMatchObject({ facts, tunnelled: false });
});

it.each(["127.0.0.1", "localhost", "0.0.0.0"])(
  "reaches what listens on %s of another machine by a tunnel",
  async (at) => {
    const { host, tunnels } = remote();
    const reached = await reachEndpoint(host, factsAt(at, "https://127.0.0.1:8400"));
    expect(reached).toMatchObject({ facts: { url: "https://127.0.0.1:41000", apiKey: "k" }, tunnelled: true });
    expect(tunnels).toEqual([8400]);
    await reached.close();
    expect(tunnels).toEqual([8400, "closed"]);
  },
);

it("takes an address that the experiment binds as it is", async () => {
  const { host, tunnels } = remote();
  const reached = await reachEndpoint(host, factsAt("10.1.2.3", "https://10.1.2.3:8400"));
  expect(reached).toMatchObject({ facts: { url: "https://10.1.2.3:8400" }, tunnelled: false });
  expect(tunnels).toEqual([]);
});
