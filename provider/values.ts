import { canonicalJson } from "../recipe/canonical.ts";
import { hostSpec, placeOf } from "../recipe/host.ts";

/** How the engine marks special values, and which special value a secret is (SDK: runtime/rpc.ts). */
const signatureKey = "4dabf18193072939515e22adb298388d";
const secretSignature = "1b47061264138c4ac30d75fd1eb44270";

/** What the engine sends in previews for a value that is not known yet (SDK: runtime/rpc.ts). */
export const unknownValue = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** A property bag as it crosses the wire. */
export type Wire = Readonly<Record<string, unknown>>;

/** `value` marked as secret: the engine keeps it encrypted in state and hides it in output. */
export function asSecret(value: string): Wire {
  return { [signatureKey]: secretSignature, value };
}

/** The value without any secret marks, however deep. */
export function reveal(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reveal);
  if (typeof value !== "object" || value === null) return value;
  const bag = value as Wire;
  if (bag[signatureKey] === secretSignature) return reveal(bag["value"]);
  return Object.fromEntries(Object.entries(bag).map(([key, part]) => [key, reveal(part)]));
}

/** Is the value, or any part of it, not known yet? */
export function hasUnknown(value: unknown): boolean {
  if (value === unknownValue) return true;
  if (Array.isArray(value)) return value.some(hasUnknown);
  return typeof value === "object" && value !== null && Object.values(value).some(hasUnknown);
}

/** Names of the `keys` whose values differ between two revealed bags. An unknown never counts as a change. */
export function changedKeys(keys: readonly string[], olds: Wire, news: Wire): string[] {
  return keys.filter((key) => !hasUnknown(news[key]) && worth(key, olds[key]) !== worth(key, news[key]));
}

/** What a value is compared by: another way to the same host is no other host. */
function worth(key: string, value: unknown): string {
  const host = key === "host" ? hostSpec.safeParse(value).data : undefined;
  return host === undefined ? canonicalJson(value ?? null) : placeOf(host);
}

/** The bag as the wire takes it: without keys that are undefined. */
export function toWire(bag: object): Wire {
  return JSON.parse(JSON.stringify(bag)) as Wire;
}
