import { Fault } from "../recipe/fault.ts";
import type { HostSpec } from "../recipe/host.ts";
import type { Host } from "./host.ts";
import { LocalHost } from "./local.ts";

/** Reaches the host that a spec names. Throws Fault where it can't be reached, or this release does not bring its kind. */
export async function connect(spec: HostSpec): Promise<Host> {
  switch (spec.kind) {
    case "local":
      return new LocalHost(spec.dataDirectory);
    case "ssh": {
      const { SshHost } = await import("./ssh.ts");
      return SshHost.open(spec);
    }
    case "kubernetes":
      throw new Fault({
        code: "target-unavailable",
        property: "target",
        message: "kubernetes is not in this release yet.",
        next: "Use `tuneup:target: local` or `ssh`.",
      });
  }
}
