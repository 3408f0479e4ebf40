import { asSecret, reveal, type Wire } from "../../../provider/values.ts";

/** The key by which the engine knows a secret, and its value. */
const [signatureKey, signature] = Object.entries(asSecret(""))[0] as [string, unknown];

/** Is it an object, and no list? */
export function isBag(value: unknown): value is Wire {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Is the value itself marked as secret? */
export function isSecret(value: unknown): boolean {
  return isBag(value) && value[signatureKey] === signature;
}

/** Is the value, or any part of it, marked as secret? */
export function hasSecret(value: unknown): boolean {
  if (isSecret(value)) return true;
  if (Array.isArray(value)) return value.some(hasSecret);
  return isBag(value) && Object.values(value).some(hasSecret);
}

/** `value` marked as secret, once. */
export function secret(value: unknown): Wire {
  return { [signatureKey]: signature, value: reveal(value) };
}

/** `value` with the same parts marked as secret as `given`. */
export function markedLike(value: unknown, given: unknown): unknown {
  if (isSecret(given)) return secret(value);
  if (Array.isArray(value) && Array.isArray(given)) return value.map((part, at) => markedLike(part, given[at]));
  if (!isBag(value) || !isBag(given)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, markedLike(part, given[key])]));
}

/** The value without nulls: for Kubernetes they are absent. */
export function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isBag(value)) return value;
  const kept = Object.entries(value).filter(([, part]) => part !== null && part !== undefined);
  return Object.fromEntries(kept.map(([key, part]) => [key, withoutNulls(part)]));
}

/** The part at `path`, undefined where there is none. */
export function at(value: unknown, ...path: (string | number)[]): unknown {
  return path.reduce<unknown>(
    (part, key) =>
      typeof part === "object" && part !== null ? (part as Record<string | number, unknown>)[key] : undefined,
    value,
  );
}

/** The list at `path`, empty where there is none. */
export function listAt(value: unknown, ...path: (string | number)[]): readonly unknown[] {
  const part = at(value, ...path);
  return Array.isArray(part) ? (part as readonly unknown[]) : [];
}

/** The text at `path`, empty where there is none. */
export function textAt(value: unknown, ...path: (string | number)[]): string {
  const part = at(value, ...path);
  return typeof part === "string" ? part : "";
}

/** The number at `path`, `otherwise` where there is none. */
export function numberAt(value: unknown, path: readonly (string | number)[], otherwise = 0): number {
  const part = at(value, ...path);
  return typeof part === "number" ? part : otherwise;
}
