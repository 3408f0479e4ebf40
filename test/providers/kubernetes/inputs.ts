import { createHash, randomBytes } from "node:crypto";
import { hasUnknown, reveal, type Wire } from "../../../provider/values.ts";
import { asObject, type KubernetesObject, pulumiAnnotation, scopeOf, typeOf } from "./objects.ts";
import { at, hasSecret, isBag, secret, textAt, withoutNulls } from "../protocol/wire.ts";

/** What a program's resource says, and what decides the rest of its inputs. */
export interface Given {
  readonly urn: string;
  readonly news: Wire;
  /** Inputs of before; empty for a new object. */
  readonly olds: Wire;
  /** The engine's: preview and update of one plan get the same name by it. */
  readonly seed: Uint8Array;
  /** Of objects that name no namespace. */
  readonly namespace: string;
}

/** The inputs with all that the program may leave out: type, name, namespace. Secret marks stay. */
export function completed({ urn, news, olds, seed, namespace }: Given): Wire {
  const type = typeOf(urn);
  const bag = withoutNulls(news) as Wire;
  const apiVersion = textOf(bag["apiVersion"]) ?? type.apiVersion;
  const kind = textOf(bag["kind"]) ?? type.kind;
  const given = bag["metadata"] ?? {};
  // Metadata that comes from another resource as a whole: its name will be known at the update.
  if (!isBag(given)) return { ...bag, apiVersion, kind };
  const metadata = isBag(reveal(given))
    ? hasSecret(given) && at(given, "name") === undefined
      ? (reveal(given) as Wire)
      : given
    : {};
  const scope = scopeOf(apiVersion, kind);
  const placed =
    scope === "cluster"
      ? without(metadata, "namespace")
      : scope === "namespace" && metadata["namespace"] === undefined
        ? { ...metadata, namespace }
        : metadata;
  const complete = { ...bag, apiVersion, kind, metadata: withName(placed, urn, olds, seed) };
  return kind === "Secret" && apiVersion === "v1" ? withSecretData(complete) : complete;
}

/** The inputs as the API gets and compares them: revealed, a Secret's stringData as the data that the server makes of it. */
export function normalized(inputs: unknown): KubernetesObject {
  const object = asObject(reveal(inputs));
  const texts = object["stringData"];
  if (object.kind !== "Secret" || !isBag(texts)) return object;
  const encoded = Object.entries(texts).map(([key, text]) => [
    key,
    hasUnknown(text) ? text : Buffer.from(String(text)).toString("base64"),
  ]);
  const data = isBag(object["data"]) ? object["data"] : {};
  return asObject({
    ...without(object, "stringData"),
    data: { ...data, ...(Object.fromEntries(encoded) as Wire) },
  });
}

/** A Secret with a part of its data marked is secret in whole, as the official provider has it. */
export function withSecretData(bag: Wire, like: Wire = bag): Wire {
  if (!hasSecret(like["data"]) && !hasSecret(like["stringData"])) return bag;
  const marked = ["data", "stringData"].flatMap((key) => (key in bag ? [[key, secret(bag[key])]] : []));
  return { ...bag, ...(Object.fromEntries(marked) as Wire) };
}

function withName(metadata: Wire, urn: string, olds: Wire, seed: Uint8Array): Wire {
  if (metadata["name"] !== undefined || metadata["generateName"] !== undefined) return metadata;
  const before = asObject(reveal(olds));
  const kept = pulumiAnnotation(before, "autonamed") === "true" ? textAt(before.metadata, "name") : "";
  const name = kept === "" ? `${urn.split("::").at(-1) ?? ""}-${suffix(seed)}` : kept;
  const annotations = isBag(metadata["annotations"]) ? metadata["annotations"] : {};
  return { ...metadata, name, annotations: { ...annotations, "pulumi.com/autonamed": "true" } };
}

function suffix(seed: Uint8Array): string {
  const source = seed.length === 0 ? randomBytes(16) : seed;
  return createHash("sha256").update(source).digest("hex").slice(0, 8);
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function without(bag: Wire, key: string): Wire {
  return Object.fromEntries(Object.entries(bag).filter(([name]) => name !== key));
}
