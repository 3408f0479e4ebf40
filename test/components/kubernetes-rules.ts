/* eslint-disable @typescript-eslint/no-unsafe-class-instance-assignment -- objects of the API are plain data here, whatever classes the client has for them */
import type { V1Container, V1LabelSelector, V1NetworkPolicySpec, V1PodTemplateSpec } from "@kubernetes/client-node";

/** An object as it is sent to the API server. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly spec?: unknown;
}

/** What breaks a rule. */
export interface Finding {
  readonly rule: RuleName;
  /** Kind and name of the object. */
  readonly object: string;
}

/** One container of a Pod, with the Pod and the object that brings it. */
interface Placed {
  readonly container: V1Container;
  readonly template: V1PodTemplateSpec;
  /** Does it serve until it is told to end? */
  readonly serves: boolean;
}

type ContainerRule = (placed: Placed) => boolean;
type ObjectRule = (manifest: Manifest, all: readonly Manifest[]) => boolean;

const capable = ({ container: { securityContext } }: Placed): boolean => {
  const { drop = [], add = [] } = securityContext?.capabilities ?? {};
  return !drop.includes("ALL") || add.length > 0;
};

/** Of the container, or of its Pod where the container says nothing. */
function settingOf<K extends "runAsNonRoot" | "runAsUser" | "seccompProfile">(key: K, placed: Placed) {
  return placed.container.securityContext?.[key] ?? placed.template.spec?.securityContext?.[key];
}

/** A device is never shared, so that the scheduler wants the same in both. */
function resourcesDiffer({ container: { resources } }: Placed): boolean {
  const { requests = {}, limits = {} } = resources ?? {};
  const given = ["cpu", "memory"].every((name) => name in requests && name in limits);
  const devices = new Set([...Object.keys(requests), ...Object.keys(limits)].filter((name) => name.includes("/")));
  return !given || [...devices].some((name) => requests[name] !== limits[name]);
}

const secretName = /SECRET|TOKEN|PASSW|API_?KEY|CREDENTIAL/i;

/** By the design's table of security rules: what must not be of a container. */
const containerRules = {
  /** CKV_K8S_8, and a Pod that starts slowly is not taken for a dead one. */
  "no-liveness-probe": ({ container, serves }) =>
    serves && (container.livenessProbe === undefined || container.startupProbe === undefined),
  /** CKV_K8S_9 */
  "no-readiness-probe": ({ container, serves }) => serves && container.readinessProbe === undefined,
  /** CKV_K8S_10 to 13 */
  "no-resources": resourcesDiffer,
  /** CKV_K8S_14, 43 */
  "image-without-digest": ({ container }) => !/@sha256:[0-9a-f]{64}$/.test(container.image ?? ""),
  /** CKV_K8S_16 */
  privileged: ({ container }) => container.securityContext?.privileged === true,
  /** CKV_K8S_20 */
  "privilege-escalation": ({ container }) => container.securityContext?.allowPrivilegeEscalation !== false,
  /** CKV_K8S_22 */
  "writable-root": ({ container }) => container.securityContext?.readOnlyRootFilesystem !== true,
  /** CKV_K8S_23, 40 */
  "runs-as-root": (placed) => settingOf("runAsNonRoot", placed) !== true || (settingOf("runAsUser", placed) ?? 0) === 0,
  /** CKV_K8S_31 */
  "no-seccomp": (placed) => settingOf("seccompProfile", placed)?.type !== "RuntimeDefault",
  /** CKV_K8S_37 */
  capabilities: capable,
  /** CKV_K8S_35 */
  "secret-in-environment": ({ container }) =>
    (container.env ?? []).some(({ name, value }) => secretName.test(name) && value !== undefined),
  /** CKV_K8S_26, and what only root may bind. */
  "host-port": ({ container }) =>
    (container.ports ?? []).some(({ hostPort, containerPort }) => hostPort !== undefined || containerPort < 1024),
} satisfies Record<string, ContainerRule>;

/** What must not be of a Pod. */
const podRules = {
  /** CKV_K8S_38 */
  "service-account-token": ({ spec }) => spec?.automountServiceAccountToken !== false,
  /** CKV_K8S_17 to 19 */
  "host-namespace": ({ spec }) => [spec?.hostNetwork, spec?.hostPID, spec?.hostIPC].includes(true),
  /** CKV_K8S_27, and every kind that the restricted standard does not let in. */
  "host-volume": ({ spec }) =>
    (spec?.volumes ?? []).some((volume) =>
      Object.keys(volume).some((key) => !["name", "persistentVolumeClaim", "emptyDir", "configMap"].includes(key)),
    ),
  /** Memory that nothing counts. */
  "unbounded-memory-volume": ({ spec }) =>
    (spec?.volumes ?? []).some(({ emptyDir }) => emptyDir?.medium === "Memory" && emptyDir.sizeLimit === undefined),
} satisfies Record<string, (template: V1PodTemplateSpec) => boolean>;

/** What must not be of an object, alone or beside the others. */
const objectRules = {
  "pods-not-denied": (manifest, all) =>
    templatesOf(manifest).some(({ metadata }) => !all.some((one) => isDenial(one, metadata?.labels ?? {}))),
  "policy-open-to-all": ({ kind, spec }) =>
    kind === "NetworkPolicy" &&
    ((spec as WrittenPolicy).ingress ?? []).some(
      ({ from = [] }) => from.length === 0 || from.some((peer) => Object.values(peer).some(selectsAll)),
    ),
  "policy-without-pods": (manifest, all) => manifest.kind === "NetworkPolicy" && !hasPods(manifest, all, "podSelector"),
  "service-exposed": ({ kind, spec }) =>
    kind === "Service" && ((spec as { type?: string }).type ?? "ClusterIP") !== "ClusterIP",
  "service-without-pods": (manifest, all) => manifest.kind === "Service" && !hasPods(manifest, all, "selector"),
  "budget-without-pods": (manifest, all) =>
    manifest.kind === "PodDisruptionBudget" && !hasPods(manifest, all, "selector"),
  "selector-mismatch": (manifest) => manifest.kind === "Deployment" && !hasPods(manifest, [manifest], "selector"),
  "scale-target-missing": ({ kind, spec }, all) =>
    ["HorizontalPodAutoscaler", "ScaledObject"].includes(kind) && !all.some((one) => isNamed(one, scaleTarget(spec))),
  "backend-missing": (manifest, all) =>
    backendsOf(manifest).some((name) => !all.some((one) => isNamed(one, { kind: "Service", name }))),
  "ingress-without-tls": ({ kind, spec }) => kind === "Ingress" && !isWhollyTls(spec as IngressSpec),
  "namespace-not-restricted": ({ kind, metadata }) =>
    kind === "Namespace" && metadata.labels?.["pod-security.kubernetes.io/enforce"] !== "restricted",
  "token-of-account": (manifest) =>
    manifest.kind === "ServiceAccount" &&
    (manifest as { automountServiceAccountToken?: boolean }).automountServiceAccountToken !== false,
  "rights-granted": ({ apiVersion }) => apiVersion.startsWith("rbac.authorization.k8s.io/"),
} satisfies Record<string, ObjectRule>;

/** Every rule by name. */
export type RuleName = keyof typeof containerRules | keyof typeof podRules | keyof typeof objectRules;
export const ruleNames = [containerRules, podRules, objectRules].flatMap((rules) => Object.keys(rules)) as RuleName[];

/** What of the manifests of one experiment breaks a rule, as kube-linter and checkov find it; nothing where all keep to them. */
export function findingsIn(manifests: readonly Manifest[]): Finding[] {
  return manifests.flatMap((manifest) => {
    const object = `${manifest.kind} ${manifest.metadata.name}`;
    const templates = templatesOf(manifest);
    const serves = manifest.kind === "Deployment";
    const placed = templates.flatMap((template) =>
      containersOf(template).map((container) => ({ container, template, serves })),
    );
    const broken = [
      ...brokenBy(containerRules, (rule) => placed.some(rule)),
      ...brokenBy(podRules, (rule) => templates.some(rule)),
      ...brokenBy(objectRules, (rule) => rule(manifest, manifests)),
    ];
    return broken.map((rule) => ({ rule, object }));
  });
}

function brokenBy<R>(rules: Record<string, R>, isBroken: (rule: R) => boolean): RuleName[] {
  return Object.entries(rules).flatMap(([name, rule]) => (isBroken(rule) ? [name as RuleName] : []));
}

interface Templated {
  readonly template?: V1PodTemplateSpec & Templated & { readonly spec?: Templated };
  readonly replicatedJobs?: readonly { readonly template: { readonly spec: Templated } }[];
}

/** Templates of the Pods that an object brings. */
function templatesOf({ kind, spec }: Manifest): V1PodTemplateSpec[] {
  const { template } = (spec ?? {}) as Templated;
  if (kind === "Job" || kind === "Deployment") return template === undefined ? [] : [template];
  if (kind !== "TrainingRuntime") return [];
  return (template?.spec?.replicatedJobs ?? []).flatMap((job) => job.template.spec.template ?? []);
}

function containersOf({ spec }: V1PodTemplateSpec): V1Container[] {
  return [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])];
}

/** Are there Pods that an object's selector takes? */
function hasPods({ spec }: Manifest, all: readonly Manifest[], key: "podSelector" | "selector"): boolean {
  const selector = (spec as Record<string, V1LabelSelector | Record<string, string> | undefined>)[key] ?? {};
  const wanted = "matchLabels" in selector ? (selector as V1LabelSelector).matchLabels : (selector as object);
  return all.flatMap(templatesOf).some(({ metadata }) => isSelected(wanted ?? {}, metadata?.labels ?? {}));
}

function isSelected(wanted: object, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value);
}

/** A policy that lets nothing in or out of Pods with these labels. */
function isDenial({ kind, spec }: Manifest, labels: Readonly<Record<string, string>>): boolean {
  if (kind !== "NetworkPolicy") return false;
  const { podSelector, policyTypes = [], ingress = [], egress = [] } = spec as V1NetworkPolicySpec;
  const both = policyTypes.includes("Ingress") && policyTypes.includes("Egress");
  return both && ingress.length + egress.length === 0 && isSelected(podSelector?.matchLabels ?? {}, labels);
}

/** The client's own types call `from` otherwise than it is written. */
interface WrittenPolicy {
  readonly ingress?: readonly {
    readonly from?: readonly Record<string, V1LabelSelector & { readonly cidr?: string }>[];
  }[];
}

function selectsAll({
  cidr,
  matchLabels = {},
  matchExpressions = [],
}: V1LabelSelector & { readonly cidr?: string }): boolean {
  if (cidr !== undefined) return cidr.endsWith("/0");
  return Object.keys(matchLabels).length + matchExpressions.length === 0;
}

interface Reference {
  readonly kind: string;
  readonly name: string;
}

function isNamed({ kind, metadata }: Manifest, wanted: Reference): boolean {
  return kind === wanted.kind && metadata.name === wanted.name;
}

function scaleTarget(spec: unknown): Reference {
  return (spec as { readonly scaleTargetRef: Reference }).scaleTargetRef;
}

interface IngressSpec {
  readonly tls?: readonly { readonly hosts?: readonly string[]; readonly secretName?: string }[];
  readonly rules: readonly {
    readonly host?: string;
    readonly http: { readonly paths: readonly { readonly backend: { readonly service: { readonly name: string } } }[] };
  }[];
}

function isWhollyTls({ tls = [], rules }: IngressSpec): boolean {
  const hosts = tls.flatMap((one) => (one.secretName === undefined ? [] : (one.hosts ?? [])));
  return rules.every(({ host }) => host !== undefined && hosts.includes(host));
}

/** Names of the Services that an Ingress or HTTPRoute leads to. */
function backendsOf({ kind, spec }: Manifest): string[] {
  if (kind === "Ingress") {
    return (spec as IngressSpec).rules.flatMap(({ http }) => http.paths.map(({ backend }) => backend.service.name));
  }
  if (kind !== "HTTPRoute") return [];
  const { rules } = spec as { rules: { backendRefs: { name: string }[] }[] };
  return rules.flatMap(({ backendRefs }) => backendRefs.map(({ name }) => name));
}
