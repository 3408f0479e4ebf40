import type { Api } from "../api.ts";
import type { KubernetesObject } from "../objects.ts";

/** How far an object is. */
export interface Readiness {
  readonly ready: boolean;
  /** It will not become ready any more. */
  readonly failed?: boolean;
  /** One short line for people. */
  readonly progress: string;
  /** Why it is not ready, in sentences. */
  readonly reasons: readonly string[];
}

/** Looks at a live object, and at what belongs to it. */
export type Look = (live: KubernetesObject, api: Api) => Readiness | Promise<Readiness>;
