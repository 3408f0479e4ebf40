import type { Experiment } from "./experiment.ts";

/** How an endpoint is served over https: by a certificate that its host makes, or by one that is given as paths of this machine. */
export type ServedTls = Exclude<Experiment["serve"]["tls"], "auto" | "off">;

/** Is this address one that only its own machine reaches? */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** What `serve.tls` comes to for this address; undefined: plain http. */
export function tlsOf({ host, tls }: { readonly host: string; readonly tls?: Experiment["serve"]["tls"] | undefined }) {
  if (tls === undefined || tls === "off") return undefined;
  if (tls !== "auto") return tls;
  return isLoopback(host) ? undefined : ("self-signed" as const);
}
