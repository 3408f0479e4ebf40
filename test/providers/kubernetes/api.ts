import * as http from "node:http";
import * as https from "node:https";
import type { KubeConfig } from "@kubernetes/client-node";
import { Fault } from "../../../recipe/fault.ts";
import { asObject, type KubernetesObject, named, type Reference } from "./objects.ts";
import { listAt, textAt } from "../protocol/wire.ts";

const silenceMs = 30_000;

/** What the API server refused, with its own sentence. */
export class Refused extends Error {
  /** HTTP status. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = "Refused";
    this.status = status;
  }
}

/** The API server has no such kind: its CustomResourceDefinition is not installed. */
export class KindMissing extends Error {}

interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly warnings: readonly string[];
}

interface Kind {
  readonly plural: string;
  readonly namespaced: boolean;
}

/**
 * The few requests that the provider makes. The official client gives address and credentials; requests are our own, because its
 * typed objects lose fields that it does not know.
 */
export class Api {
  readonly #config: KubeConfig;
  readonly #kinds = new Map<string, Kind>();

  constructor(config: KubeConfig) {
    this.#config = config;
  }

  /** Does the kind live in namespaces? Throws KindMissing. */
  async isNamespaced(apiVersion: string, kind: string): Promise<boolean> {
    return (await this.#kind(apiVersion, kind)).namespaced;
  }

  /** The object as it is, undefined if there is none. */
  async get(reference: Reference): Promise<KubernetesObject | undefined> {
    const { status, body } = await this.#request("GET", await this.#path(reference));
    if (status === 404) return undefined;
    return asObject(accepted(status, body));
  }

  /** The objects of a kind in a namespace, those with the `labels` (a selector) where given. */
  async list(apiVersion: string, kind: string, namespace: string, labels: string): Promise<KubernetesObject[]> {
    const path = await this.#path({ apiVersion, kind, namespace, name: "" });
    const query = new URLSearchParams({ labelSelector: labels });
    const { status, body } = await this.#request("GET", `${path}?${query.toString()}`);
    return listAt(accepted(status, body), "items").map(asObject);
  }

  /**
   * Server-side apply. `force` takes over fields of others; without it they are a conflict, which is thrown.
   * Gives the object and what the server warned of.
   */
  async apply(
    object: KubernetesObject,
    reference: Reference,
    manager: string,
    force: boolean,
  ): Promise<{ readonly live: KubernetesObject; readonly warnings: readonly string[] }> {
    const query = new URLSearchParams({ fieldManager: manager, force: String(force), fieldValidation: "Warn" });
    const path = `${await this.#path(reference)}?${query.toString()}`;
    const { status, body, warnings } = await this.#request("PATCH", path, "application/apply-patch+yaml", object);
    return { live: asObject(accepted(status, body)), warnings };
  }

  /** Begins the deletion. False if there was nothing to delete. */
  async remove(reference: Reference, propagationPolicy: string): Promise<boolean> {
    const options = { apiVersion: "v1", kind: "DeleteOptions", propagationPolicy };
    const { status, body } = await this.#request("DELETE", await this.#path(reference), "application/json", options);
    if (status === 404) return false;
    accepted(status, body);
    return true;
  }

  async #path({ apiVersion, kind, name, namespace }: Reference): Promise<string> {
    const { plural, namespaced } = await this.#kind(apiVersion, kind);
    const scope = namespaced ? `/namespaces/${encodeURIComponent(namespace ?? "default")}` : "";
    return `${rootOf(apiVersion)}${scope}/${plural}${name === "" ? "" : `/${encodeURIComponent(name)}`}`;
  }

  async #kind(apiVersion: string, kind: string): Promise<Kind> {
    const key = `${apiVersion}/${kind}`;
    const known = this.#kinds.get(key);
    if (known !== undefined) return known;
    const { status, body } = await this.#request("GET", rootOf(apiVersion));
    const resources = status === 404 ? [] : listAt(accepted(status, body), "resources");
    const found = resources.find((one) => textAt(one, "kind") === kind && !textAt(one, "name").includes("/"));
    if (found === undefined) {
      throw new KindMissing(
        `The API server has no kind ${kind} in ${apiVersion}. Install what brings its CustomResourceDefinition first.`,
      );
    }
    const read: Kind = {
      plural: textAt(found, "name"),
      namespaced: (found as { namespaced?: boolean }).namespaced === true,
    };
    this.#kinds.set(key, read);
    return read;
  }

  async #request(method: string, path: string, contentType?: string, content?: object): Promise<Answer> {
    const server = this.#config.getCurrentCluster()?.server ?? "";
    const body = content === undefined ? "" : JSON.stringify(content);
    const options: https.RequestOptions = {
      method,
      timeout: silenceMs,
      headers: {
        Accept: "application/json",
        // Node frames no body of a DELETE by itself.
        ...(contentType === undefined
          ? {}
          : { "Content-Type": contentType, "Content-Length": Buffer.byteLength(body) }),
      },
    };
    await this.#config.applyToHTTPSOptions(options);
    const send = server.startsWith("http:") ? http.request : https.request;
    try {
      return await answerOf(send(server.replace(/\/$/, "") + path, options), body);
    } catch (thrown) {
      const why =
        thrown instanceof Error && thrown.message !== "" ? thrown.message : (thrown as { code?: string }).code;
      throw new Fault(
        {
          code: "cluster-unreachable",
          message: `The Kubernetes API server at ${server} does not answer: ${why ?? "no reason given"}.`,
          next: "Look whether the cluster runs, and whether the kubeconfig is of it.",
          blame: "infrastructure",
        },
        { cause: thrown },
      );
    }
  }
}

/** Is it the fault of an API server that is away, starts or is overloaded? One that starts knows no permissions yet. */
export function isPassing(thrown: unknown): boolean {
  if (thrown instanceof Refused) return [401, 403, 429].includes(thrown.status) || thrown.status >= 500;
  return thrown instanceof Fault && thrown.code === "cluster-unreachable";
}

/** What a failed request was about, for a sentence on the object. */
export function refusal(reference: Reference, thrown: unknown): Fault | Error {
  if (!(thrown instanceof Refused)) return thrown instanceof Error ? thrown : new Error(String(thrown));
  const conflict = thrown.status === 409 && thrown.message.includes("conflict");
  return new Fault({
    code: conflict ? "kubernetes-conflict" : "kubernetes-refused",
    message: `The API server refused ${named(reference)}: ${thrown.message}`,
    ...(conflict ? { next: `Set the annotation pulumi.com/patchForce: "true" to take the fields over.` } : {}),
  });
}

function rootOf(apiVersion: string): string {
  return apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
}

function accepted(status: number, body: unknown): unknown {
  if (status < 300) return body;
  const message = textAt(body, "message");
  throw new Refused(status, message === "" ? `HTTP ${status}` : message);
}

function answerOf(request: http.ClientRequest, body: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request.on("error", reject);
    request.on("timeout", () => request.destroy(new Error(`no answer within ${silenceMs / 1000} s`)));
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const warnings = (response.headersDistinct["warning"] ?? []).map(
          (line) => /^\d+ \S+ "(.*)"/.exec(line)?.[1] ?? line,
        );
        resolve({ status: response.statusCode ?? 0, body: parsed(Buffer.concat(chunks).toString()), warnings });
      });
    });
    request.end(body);
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return { message: text };
  }
}
