import { asFault, type Fault } from "../../recipe/fault.ts";
import type { Host } from "../../hosts/host.ts";
import type { HostFacts as Facts } from "../../recipe/host-facts.ts";
import type { Say } from "../language/say.ts";
import { findExecutable } from "../toolchain/executables.ts";
import type { Check, Variables } from "./check.ts";
import { firstPort, preflightChecks } from "./machine.ts";

/** A clock that is further off fails https, whose certificates have a time. */
const clockSeconds = 300;

/** The machine of an experiment with target ssh. */
export interface Remote {
  /** As `ssh` takes it. */
  readonly address: string;
  readonly reach: () => Promise<Host>;
}

/** Can ssh be found, does the host answer, and what does it say of itself? It is closed again. */
export async function remoteChecks({ address, reach }: Remote, variables: Variables, tell: Say): Promise<Check[]> {
  const client = await sshCheck(variables, tell);
  if (client.state === "missing") return [client];
  const startedAt = performance.now();
  const name = tell("doctor.name.host");
  try {
    const host = await reach();
    try {
      const port = { host: "127.0.0.1", port: firstPort, experiment: "doctor" };
      const facts = await host.run("preflight", { port, egress: true });
      const detail = `${address}: ${tell("doctor.host.ok", { ms: Math.round(performance.now() - startedAt) })}`;
      return [client, { name, state: "ok", detail }, ...factChecks(facts, host.dataDirectory, tell)];
    } finally {
      await host.close();
    }
  } catch (thrown) {
    const fault = asFault(thrown);
    if (fault.blame === "bug") throw thrown;
    return [client, { name, state: "missing", detail: fault.message, ...nextOf(fault) }];
  }
}

function nextOf({ next }: Fault): { next?: string } {
  return next === undefined ? {} : { next };
}

async function sshCheck(variables: Variables, tell: Say): Promise<Check> {
  const path = await findExecutable("ssh", variables["PATH"]);
  return path === undefined
    ? { name: "ssh", state: "missing", detail: tell("doctor.tool.none"), next: tell("doctor.ssh.next") }
    : { name: "ssh", state: "ok", detail: path };
}

/** What to do is done there, not here. */
const nextThere = { disk: "doctor.disk.remote", home: "doctor.home.remote" } as const;

function factChecks(facts: Facts, dataDirectory: string, tell: Say): Check[] {
  const there = preflightChecks(facts, dataDirectory, tell).map((check): Check => {
    if (check.name === tell("doctor.name.disk") && check.next !== undefined)
      return { ...check, next: tell(nextThere.disk) };
    if (check.name === tell("doctor.name.home") && check.next !== undefined)
      return { ...check, next: tell(nextThere.home) };
    return check;
  });
  return [...there, ...clock(facts, tell), ...egress(facts, tell)];
}

function clock({ clockAheadSeconds: ahead }: Facts, tell: Say): Check[] {
  if (ahead === undefined) return [];
  const name = tell("doctor.name.clock");
  const seconds = Math.ceil(Math.abs(ahead));
  return seconds <= clockSeconds
    ? [{ name, state: "ok", detail: tell("doctor.clock.ok", { seconds: Math.max(seconds, 1) }) }]
    : [{ name, state: "warning", detail: tell("doctor.clock.off", { seconds }), next: tell("doctor.clock.next") }];
}

function egress({ egress: reached, environment }: Facts, tell: Say): Check[] {
  if (reached === undefined) return [];
  const name = tell("doctor.name.egress");
  const names = { pypi: "PyPI", huggingface: "Hugging Face", modelscope: "ModelScope" };
  const hubs = (["pypi", "huggingface", "modelscope"] as const).filter((hub) => reached[hub]).map((hub) => names[hub]);
  if (!reached.pypi && hubs.length > 0 && environment === null) {
    return [{ name, state: "note", detail: tell("doctor.egress.pypi") }];
  }
  return hubs.length > 0
    ? [{ name, state: "ok", detail: tell("doctor.egress.ok", { hubs: hubs.join(", ") }) }]
    : [{ name, state: "note", detail: tell("doctor.egress.none") }];
}
