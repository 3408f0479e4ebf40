import { Fault } from "../../../recipe/fault.ts";
import type { Wire } from "../../../provider/values.ts";
import { at, isBag, textAt, withoutNulls } from "../protocol/wire.ts";

/** An object of the API, with what every one has. */
export interface KubernetesObject extends Wire {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Wire;
}

/** What names one object. `namespace` is undefined for those that belong to the cluster. */
export interface Reference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string | undefined;
}

/** Kinds of Kubernetes' own groups that belong to the cluster and to no namespace. */
const clusterKinds = new Set(
  `APIService CSIDriver CSINode CertificateSigningRequest ClusterRole ClusterRoleBinding CustomResourceDefinition DeviceClass
   FlowSchema IngressClass MutatingWebhookConfiguration Namespace Node PersistentVolume PriorityClass PriorityLevelConfiguration
   RuntimeClass StorageClass ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration
   VolumeAttachment`.split(/\s+/),
);

/** Is it a kind of Kubernetes itself? Custom ones have a group with a domain of their own. */
function isBuiltIn(apiVersion: string): boolean {
  const [group = "", version] = apiVersion.split("/");
  return version === undefined || !group.includes(".") || group.endsWith(".k8s.io");
}

/** Where such an object lives, undefined where only the cluster can tell (custom resources). */
export function scopeOf(apiVersion: string, kind: string): "cluster" | "namespace" | undefined {
  if (!isBuiltIn(apiVersion)) return undefined;
  return clusterKinds.has(kind) ? "cluster" : "namespace";
}

/** apiVersion and kind of a resource's type: `kubernetes:core/v1:Secret` is v1 and Secret. Throws a Fault for what is no object. */
export function typeOf(urn: string): { readonly apiVersion: string; readonly kind: string } {
  const type = urn.split("::")[2]?.split("$").at(-1) ?? "";
  const [, module = "", kind = ""] = type.split(":");
  if (/^(helm\.sh|yaml|kustomize)(\/|$)/.test(module) || /(Patch|List)$/.test(kind) || kind === "") {
    throw new Fault({
      code: "kubernetes-type",
      message: `The stand-in for Pulumi's kubernetes provider has no ${type}; it has single objects, custom ones too.`,
      next: "Declare the objects one by one, or use the official provider.",
    });
  }
  return { apiVersion: module.replace(/^core\//, ""), kind };
}

/** The values as an object of the API. Nulls are left out. */
export function asObject(value: unknown): KubernetesObject {
  const bag = withoutNulls(value) as Wire;
  return {
    ...bag,
    apiVersion: textAt(bag, "apiVersion"),
    kind: textAt(bag, "kind"),
    metadata: isBag(bag["metadata"]) ? bag["metadata"] : {},
  };
}

/** What names the object. */
export function referenceTo(object: KubernetesObject): Reference {
  const { apiVersion, kind, metadata } = object;
  const namespace = textAt(metadata, "namespace");
  return { apiVersion, kind, name: textAt(metadata, "name"), namespace: namespace === "" ? undefined : namespace };
}

/** Id of a resource, as the official provider gives it: `namespace/name` or `name`. */
export function idOf({ name, namespace }: Reference): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** Name and namespace that an id tells. */
export function parseId(id: string): { readonly name: string; readonly namespace: string | undefined } {
  const [first = "", second] = id.split("/");
  return second === undefined ? { name: first, namespace: undefined } : { name: second, namespace: first };
}

/** The object in a sentence: `Job demo/train`. */
export function named(reference: Reference): string {
  return `${reference.kind} ${idOf(reference)}`;
}

/** Value of the annotation `pulumi.com/<name>`, undefined where there is none. */
export function pulumiAnnotation(object: unknown, name: string): string | undefined {
  const value = at(object, "metadata", "annotations", `pulumi.com/${name}`);
  return typeof value === "string" ? value : undefined;
}

/** Seconds to wait: what the resource's options say (0: nothing), else its annotation, else `otherwise`. */
export function timeoutOf(object: unknown, optionSeconds: number, otherwise: number): number {
  if (optionSeconds > 0) return optionSeconds;
  const annotated = Number.parseInt(pulumiAnnotation(object, "timeoutSeconds") ?? "", 10);
  return Number.isNaN(annotated) ? otherwise : annotated;
}
