import type { HostSpec } from "../recipe/host.ts";
import type { Host } from "./host.ts";
import { LocalHost } from "./local.ts";

/** Reaches the host that a spec names. Throws Fault where it can't be reached. */
export async function connect(spec: HostSpec): Promise<Host> {
  switch (spec.kind) {
    case "local":
      return new LocalHost(spec.dataDirectory);
    case "ssh": {
      const { openSsh } = await import("./ssh.ts");
      return openSsh(spec);
    }
    case "kubernetes": {
      const { eks } = spec;
      if (eks !== undefined) {
        const { openEks } = await import("./eks.ts");
        return openEks({ ...spec, eks });
      }
      const { openKubernetes } = await import("./kubernetes.ts");
      return openKubernetes(spec);
    }
    case "aws": {
      const { openAws } = await import("./aws.ts");
      return openAws(spec);
    }
  }
}
