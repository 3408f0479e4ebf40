import { Fault, type FaultFacts } from "../recipe/fault.ts";

/** The cluster and the place in it that a fault is about. */
export interface Where {
  readonly context: string;
  /** Address of the API server. */
  readonly server: string;
  readonly namespace: string;
}

/** Faults that another try may mend. */
const passing = ["cluster-unreachable", "cluster-busy", "pod-lost"];

/** Is it worth trying again? What is forbidden stays forbidden. */
export function isPassing(fault: Fault): boolean {
  return passing.includes(fault.code);
}

/** What the API server said of a request. */
interface Refusal {
  readonly status: number;
  /** Its sentence; empty where it gave none. */
  readonly message: string;
}

/** What the client threw for a request to the API server, as a Fault. */
export function clusterFault(thrown: unknown, where: Where): Fault {
  if (thrown instanceof Fault) return thrown;
  const refusal = refusalIn(thrown);
  if (refusal !== undefined) return new Fault(refused(refusal, where), { cause: thrown });
  return new Fault(notAsked(thrown, where), { cause: thrown });
}

/** The HTTP status of what was thrown; undefined where the server gave none. */
export function statusOf(thrown: unknown): number | undefined {
  return refusalIn(thrown)?.status;
}

/** The way to a Pod, or the Pod itself, ended before the command did. */
export function podLost(what: string): Fault {
  return new Fault({
    code: "pod-lost",
    property: "kubernetes.context",
    message: what,
    next: "What runs on the cluster is not touched; run this again.",
    blame: "infrastructure",
  });
}

/** The agent knows a data directory alone: a disk that is too full is the volume here. Everything else stays as it was thrown. */
export function onVolume(thrown: unknown): unknown {
  if (!(thrown instanceof Fault) || thrown.code !== "disk-full") return thrown;
  return new Fault(
    {
      ...thrown.toFacts(),
      property: "kubernetes.volume.size",
      next: "Free some space on the volume (`npx tuneup down EXPERIMENT --purge` deletes an experiment's data), or set a larger size, which its storage class has to allow (allowVolumeExpansion).",
    },
    { cause: thrown },
  );
}

/** A context that the kubeconfig does not have. */
export function contextUnknown(given: string | undefined, known: readonly string[], file: string): Fault {
  const names = known.length === 0 ? "It has none." : `It has ${known.join(", ")}.`;
  return new Fault({
    code: "context-unknown",
    property: "kubernetes.context",
    message:
      given === undefined
        ? `is not given, and ${file} has no current context. ${names}`
        : `must be a context of ${file}; got ${JSON.stringify(given)}. ${names}`,
    next: "Name one of them, or set KUBECONFIG to the file that has it.",
  });
}

/** No kubeconfig, or none that can be read. */
export function kubeconfigUnusable(message: string): Fault {
  return new Fault({
    code: "kubeconfig-unusable",
    property: "kubernetes.context",
    message,
    next: "Set KUBECONFIG to the kubeconfig of your cluster, or put it to ~/.kube/config.",
  });
}

function refused({ status, message }: Refusal, where: Where): FaultFacts {
  const { context, namespace } = where;
  const property = "kubernetes.context";
  if (status === 401) {
    const next = "Log in to the cluster again, as its owner says, then run this again.";
    return { code: "cluster-auth", property, message: `The cluster of ${context} does not know who you are.`, next };
  }
  if (status === 403) return forbidden(message, where);
  if (status === 404 && /namespaces? "?[\w.-]*"? ?not found/.test(message)) {
    return {
      code: "namespace-missing",
      property: "kubernetes.namespace",
      message: `There is no namespace ${namespace} on ${context}.`,
      next: "`npx tuneup up` makes it (kubernetes.createNamespace), or name one that is there.",
    };
  }
  if (status === 404) return podLost(`${context} has no such thing any more: ${message || "not found"}.`).toFacts();
  if (status === 409 || status === 429 || status >= 500) {
    const next = "What runs on the cluster is not touched; run this again when it answers.";
    const said = `The API server of ${context} can't answer now (HTTP ${status}): ${message || "no reason given"}`;
    return { code: "cluster-busy", property, message: said, next, blame: "infrastructure" };
  }
  return {
    code: "cluster-refused",
    property: "kubernetes",
    message: `The cluster of ${context} refuses it (HTTP ${status}): ${message || "no reason given"}`,
    next: "Change what it names in `tuneup:kubernetes`.",
  };
}

/** Who is not let, and what a quota or a policy of the cluster does not let in. */
function forbidden(message: string, { context, namespace }: Where): FaultFacts {
  if (/exceeded quota|failed quota|must specify limits|violates PodSecurity|admission|maximum .* usage/.test(message)) {
    return {
      code: "pod-refused",
      property: "kubernetes",
      message: `Namespace ${namespace} on ${context} does not let the Pod in: ${message}`,
      next: "Ask for less (kubernetes.cpu, kubernetes.memory), or have the namespace's owner change its quota or policy.",
    };
  }
  const [, verb = "exec into", resource = "pods"] = /cannot (\S+) resource "([^"]+)"/.exec(message) ?? [];
  return {
    code: "cluster-forbidden",
    property: "kubernetes.context",
    message: `Your user of ${context} may not ${verb} ${resource} in namespace ${namespace}.`,
    next: "Have the cluster's owner give you the Role of docs/kubernetes.md in this namespace, or take a context that has it.",
  };
}

/** The request never reached an API server that answered. */
function notAsked(thrown: unknown, { context, server }: Where): FaultFacts {
  const { code, message } = rootOf(thrown);
  const property = "kubernetes.context";
  if (/CERT|SIGNATURE|SELF_SIGNED|ERR_TLS/.test(code)) {
    return {
      code: "cluster-untrusted",
      property,
      message: `${server} (${context}) shows a certificate that the kubeconfig does not trust: ${message}.`,
      next: "Fetch the kubeconfig again, as the cluster's owner says: its certificate-authority-data may be an old one.",
    };
  }
  if (code === "" || code === "ENOENT") {
    return {
      code: "cluster-auth",
      property,
      message: `The credentials of ${context} can't be had: ${message.trim().split("\n").at(-1) ?? ""}`,
      next: "Log in to the cluster again; the kubeconfig names the program that gives the credentials.",
    };
  }
  return {
    code: "cluster-unreachable",
    property,
    message: `${server} (${context}) can't be reached: ${message || code}`,
    next:
      code === "ENOTFOUND"
        ? "Its name is not known here: is the VPN up, or is it the kubeconfig of a cluster that is gone?"
        : "What runs on the cluster is not touched; run this again when it answers.",
    blame: "infrastructure",
  };
}

/** The innermost error with a code, which says what happened on the wire. */
function rootOf(thrown: unknown): { readonly code: string; readonly message: string } {
  let found = { code: "", message: thrown instanceof Error ? thrown.message : String(thrown) };
  for (let part = thrown; typeof part === "object" && part !== null;) {
    const { code, message, cause, error, errors } = part as Record<string, unknown>;
    if (typeof code === "string") found = { code, message: typeof message === "string" ? message : "" };
    part = cause ?? error ?? (Array.isArray(errors) ? errors[0] : undefined);
  }
  return found;
}

function refusalIn(thrown: unknown): Refusal | undefined {
  if (typeof thrown !== "object" || thrown === null) return undefined;
  const { code, body, message } = thrown as Record<string, unknown>;
  if (typeof code === "number") return { status: code, message: messageIn(body) };
  // A WebSocket that was not let in tells the status alone.
  const upgrade = /Unexpected server response: (\d+)/.exec(typeof message === "string" ? message : "");
  return upgrade === null ? undefined : { status: Number(upgrade[1]), message: "" };
}

function messageIn(body: unknown): string {
  const status = typeof body === "string" ? parsed(body) : body;
  if (typeof status === "string") return status.trim();
  const { message } = (status ?? {}) as { message?: unknown };
  return typeof message === "string" ? message : "";
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Nodes and classes are the cluster's: who has a namespace alone may not see them, and then they are not known. */
export async function unlessForbidden<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.code === "cluster-forbidden") return undefined;
    throw thrown;
  }
}
