import type { Host } from "../hosts/host.ts";
import type { HostSpec } from "../recipe/host.ts";
import type { CommandOutput } from "../recipe/protocol.ts";

/** What a host may have to reach to get something by itself. */
export type Hub = "pypi" | "huggingface" | "modelscope";
type Egress = NonNullable<CommandOutput<"preflight">["egress"]>;

/** Asked once a process and host: the answers of one update must be the same. */
const asked = new WeakMap<Host, Promise<Egress | undefined>>();

/**
 * Does the host get things from these by itself (from one of them, where several are named)? Else this machine pushes them. No hub named:
 * from whatever address. This machine, and a host that tells nothing, are taken to reach all.
 */
export async function reaches(host: Host, spec: HostSpec, hubs: readonly Hub[]): Promise<boolean> {
  if (host.isHere) return true;
  if (spec.kind !== "local" && spec.offline === true) return false;
  const known = asked.get(host) ?? host.run("preflight", { egress: true }).then(({ egress }) => egress);
  asked.set(host, known);
  known.catch(() => asked.delete(host));
  const egress = await known;
  if (egress === undefined) return true;
  return (hubs.length === 0 ? Object.values(egress) : hubs.map((hub) => egress[hub])).some(Boolean);
}
