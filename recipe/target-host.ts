import { withoutUndefined } from "./defined.ts";
import type { Experiment } from "./experiment.ts";
import { homeOf } from "./home.ts";
import type { HostSpec } from "./host.ts";

/** Data directory on an ssh host where the experiment names none: the XDG default of the user there. */
const sshDataDirectory = "~/.local/share/tuneup";

type Asked = Pick<Experiment, "target"> & {
  readonly compute: Partial<Pick<Experiment["compute"], "host" | "user" | "port" | "identity" | "jump" | "offline">>;
  readonly storage: Experiment["storage"];
};

/** The host of an experiment that `readRunnableExperiment` let through. `environment`: this machine's variables. */
export function hostSpecOf(
  { target, compute, storage }: Asked,
  environment: Readonly<Record<string, string | undefined>>,
): HostSpec {
  if (target !== "ssh") return { kind: "local", dataDirectory: storage.dataDirectory ?? homeOf(environment) };
  const { host = "", user, port, identity, jump, offline } = compute;
  return withoutUndefined({
    kind: "ssh" as const,
    dataDirectory: storage.dataDirectory ?? sshDataDirectory,
    address: host,
    ...{ user, port, identity, jump },
    // False is what a state without it says.
    offline: offline === true ? offline : undefined,
  });
}
