import type { Host } from "../hosts/host.ts";
import type { EndpointFacts } from "../recipe/protocol.ts";
import { isLoopback } from "../recipe/tls.ts";

/** An endpoint as it is reached from this machine, until `close`. */
export interface ReachedEndpoint {
  /** As the host told them, but for `url`, which is one that this machine can open. */
  readonly facts: EndpointFacts;
  /** Is `url` a tunnel's, and gone after `close`? */
  readonly tunnelled: boolean;
  close(): Promise<void>;
}

/**
 * Makes an endpoint reachable from here. What listens on another machine's loopback, or on all of its addresses, is reached by a
 * tunnel over ssh; an address that the experiment binds is used as it is. On this machine nothing is in between.
 */
export async function reachEndpoint(host: Host, facts: EndpointFacts): Promise<ReachedEndpoint> {
  if (host.isHere || !isBehindLoopback(facts.status.host))
    return { facts, tunnelled: false, close: () => Promise.resolve() };
  const tunnel = await host.tunnel(facts.status.port, facts.status.experiment);
  const { protocol } = new URL(facts.url);
  return {
    facts: { ...facts, url: `${protocol}//127.0.0.1:${tunnel.port}` },
    tunnelled: true,
    close: () => tunnel.close(),
  };
}

/** Does what is bound to this address answer on its machine's loopback? All of an address family includes it. */
export function isBehindLoopback(address: string): boolean {
  return isLoopback(address) || address === "0.0.0.0" || address === "::";
}
