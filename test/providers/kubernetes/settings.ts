import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import type { KubeConfig } from "@kubernetes/client-node";
import { parse } from "yaml";
import { Fault } from "../../../recipe/fault.ts";
import { hasUnknown, reveal, type Wire } from "../../../provider/values.ts";
import { at, listAt, textAt } from "../protocol/wire.ts";

/** The provider's configuration, as `@pulumi/kubernetes` sends it: `new k8s.Provider(...)` or `kubernetes:*` of the stack. */
export interface Settings {
  /** Contents of a kubeconfig, or the path to one. Undefined: KUBECONFIG, then ~/.kube/config. */
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  readonly namespace: string | undefined;
  readonly force: boolean;
  readonly upsert: boolean;
  readonly mutableConfigMaps: boolean;
  readonly mutableSecrets: boolean;
}

/** Reads the configuration. Values that are not known yet count as not given. */
export function readSettings(given: Wire): Settings {
  const known = reveal(given) as Wire;
  const text = (key: string): string | undefined => {
    const value = known[key];
    return typeof value === "string" && value !== "" && !hasUnknown(value) ? value : undefined;
  };
  // The SDK sends what is no text as JSON; without it, the environment decides.
  const flag = (key: string, variable: string): boolean => {
    const value = known[key] ?? process.env[`PULUMI_K8S_${variable}`];
    return value === true || value === "true";
  };
  return {
    kubeconfig: text("kubeconfig"),
    context: text("context"),
    namespace: text("namespace"),
    force: flag("enablePatchForce", "ENABLE_PATCH_FORCE"),
    upsert: flag("upsertExistingObjects", "UPSERT_EXISTING_OBJECTS"),
    mutableConfigMaps: flag("enableConfigMapMutable", "ENABLE_CONFIGMAP_MUTABLE"),
    mutableSecrets: flag("enableSecretMutable", "ENABLE_SECRET_MUTABLE"),
  };
}

/** The namespace of an object that names none: of the provider, of the context, else `default`. Needs no cluster. */
export function defaultNamespace(settings: Settings): string {
  return settings.namespace ?? textOr(currentContext(settings), "namespace", "default");
}

/** Address of the API server, undefined where it can't be told. Needs no cluster. */
export function serverOf(settings: Settings): string | undefined {
  const cluster = textOr(currentContext(settings), "cluster", "");
  const found = listAt(document(settings), "clusters").find((entry) => textAt(entry, "name") === cluster);
  const server = textAt(found, "cluster", "server");
  return server === "" ? undefined : server;
}

/** The official client's kubeconfig of these settings. Throws a Fault where there is none, or no such context. */
export async function kubeConfigOf(settings: Settings): Promise<KubeConfig> {
  // It takes most of a second to load, and previews need none.
  const { KubeConfig } = await import("@kubernetes/client-node");
  const config = new KubeConfig();
  const source = sourceOf(settings);
  if ("text" in source) config.loadFromString(source.text);
  else if (existsSync(source.file)) config.loadFromFile(source.file);
  else throw noCluster(`There is no kubeconfig at ${source.file}.`);
  if (settings.context !== undefined) config.setCurrentContext(settings.context);
  if (config.getCurrentCluster() === null) {
    const contexts = config.getContexts().map(({ name }) => name);
    throw noCluster(
      `The kubeconfig has no context ${config.getCurrentContext()} with a cluster; it has ${contexts.join(", ")}.`,
    );
  }
  return config;
}

function noCluster(message: string): Fault {
  return new Fault({ code: "kubeconfig", message, next: "Set kubernetes:kubeconfig and kubernetes:context." });
}

function textOr(value: unknown, key: string, otherwise: string): string {
  const text = textAt(value, key);
  return text === "" ? otherwise : text;
}

function currentContext(settings: Settings): unknown {
  const config = document(settings);
  const name = settings.context ?? textAt(config, "current-context");
  return at(
    listAt(config, "contexts").find((entry) => textAt(entry, "name") === name),
    "context",
  );
}

function document(settings: Settings): unknown {
  try {
    const source = sourceOf(settings);
    return parse("text" in source ? source.text : readFileSync(source.file, "utf8"));
  } catch {
    return undefined;
  }
}

/** Where the kubeconfig is: its contents, or a file. Of several files in KUBECONFIG, the first. */
function sourceOf({ kubeconfig }: Settings): { readonly text: string } | { readonly file: string } {
  if (kubeconfig?.includes("\n") === true || kubeconfig?.startsWith("{") === true) return { text: kubeconfig };
  const path = kubeconfig ?? process.env["KUBECONFIG"]?.split(delimiter)[0] ?? join(homedir(), ".kube/config");
  return { file: path.replace(/^~(?=\/)/, homedir()) };
}
