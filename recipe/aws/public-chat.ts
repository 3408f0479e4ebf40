import { isIPv6 } from "node:net";
import type { Experiment } from "../experiment.ts";
import type { FaultFacts } from "../fault.ts";
import { isLoopback } from "../tls.ts";

/** Port of the gateway behind a load balancer where `serve.port` names none: the balancer's rules have to know it before there is a machine. */
const usualPort = 8400;

/** What the gateway binds so that a load balancer reaches it. `port`: as in `serve.port`, 0 for the usual one. */
export function behindBalancer(port: number): { readonly host: string; readonly port: number } {
  return { host: "0.0.0.0", port: port === 0 ? usualPort : port };
}

/** Does an experiment on aws have an endpoint that a load balancer can be put before? */
export function isServed({ serve, teardown }: Pick<Experiment, "serve" | "teardown">): boolean {
  return serve.enabled && teardown.when !== "after-training";
}

/** IPv4 blocks as AWS takes them: 203.0.113.5/24 is 203.0.113.0/24, and each is there once. */
export function networkBlocks(blocks: readonly string[]): string[] {
  return [...new Set(blocks.map(networkBlock))];
}

function networkBlock(block: string): string {
  const [address = "", length = "32"] = block.split("/");
  const bytes = address.split(".").map((byte, index) => {
    const kept = Math.min(8, Math.max(0, Number(length) - 8 * index));
    return Number(byte) & (0xff << (8 - kept)) & 0xff;
  });
  return `${bytes.join(".")}/${Number(length)}`;
}

/** What does not go together with `aws.publicChat`; nothing where it is not asked for. */
export function unfitForPublicChat({ aws, serve, teardown }: Experiment): FaultFacts[] {
  if (aws?.publicChat === undefined) return [];
  const code = "aws-public-chat";
  const faults: FaultFacts[] = [];
  if (!isServed({ serve, teardown })) {
    const why = serve.enabled ? "teardown.when is after-training" : "serve.enabled is false";
    faults.push({
      ...{ code, property: "aws.publicChat" },
      message: `is for an endpoint, and there is none, since ${why}.`,
      next: "Take it out, or let the experiment be served.",
    });
  }
  const newer = aws.publicChat.allowedCidrs.filter((block) => isIPv6(block.split("/")[0] ?? ""));
  if (newer.length > 0) {
    faults.push({
      ...{ code, property: "aws.publicChat.allowedCidrs" },
      message: `must be blocks of IPv4, since the load balancer has no other address, got ${newer.join(", ")}.`,
      next: "Name the IPv4 addresses that the same people come from.",
    });
  }
  if (!isLoopback(serve.host) && serve.host !== behindBalancer(0).host) {
    faults.push({
      ...{ code, property: "serve.host" },
      message: `must be left out with aws.publicChat, where the gateway listens on all addresses of its machine, got ${serve.host}.`,
      next: "Take it out: the machine's group lets the load balancer in and nobody else.",
    });
  }
  // Beyond loopback it is refused with or without a load balancer.
  if (serve.tls === "off" && isLoopback(serve.host)) {
    faults.push({
      ...{ code, property: "serve.tls" },
      message:
        "must not be off with aws.publicChat: key, questions and answers go from the load balancer to the machine.",
      next: "Take it out: the host then makes a certificate, which the load balancer takes as it is.",
    });
  }
  return faults;
}
