import { hasUnknown, type Wire } from "../../../provider/values.ts";
import { canonicalJson } from "../../../recipe/canonical.ts";
import { isBag } from "../protocol/wire.ts";

/** Names and indices from the object to a value in it. */
export type Path = readonly (string | number)[];

/** One difference between inputs. */
export interface Change {
  readonly path: Path;
  readonly kind: "add" | "delete" | "update";
}

/** The differences between two inputs, at the deepest paths. What is not known yet differs. */
export function changesBetween(old: unknown, now: unknown, path: Path = []): Change[] {
  if (hasUnknown(now) && !isBag(now) && !Array.isArray(now)) return [{ path, kind: "update" }];
  if (isBag(old) && isBag(now)) {
    const keys = [...new Set([...Object.keys(old), ...Object.keys(now)])];
    return keys.flatMap((key) => changesBetween(old[key], now[key], [...path, key]));
  }
  if (Array.isArray(old) && Array.isArray(now)) {
    const longest = Math.max(old.length, now.length);
    return Array.from({ length: longest }, (_none, index) => index).flatMap((index) =>
      changesBetween(old[index], now[index], [...path, index]),
    );
  }
  if (isEqual(old, now, path)) return [];
  return [{ path, kind: old === undefined ? "add" : now === undefined ? "delete" : "update" }];
}

/** The path as the engine writes it: `spec.containers[0].image`, `metadata.annotations["a/b"]`. */
export function written(path: Path): string {
  return path
    .map((part) => {
      if (typeof part === "number") return `[${part}]`;
      return /^[\w-]+$/.test(part) ? `.${part}` : `["${part}"]`;
    })
    .join("")
    .replace(/^\./, "");
}

/**
 * What is live of what the inputs say: everything else belongs to the server, to controllers or to other managers. A value that means the
 * same is kept as the inputs write it.
 */
export function liveInputs(live: unknown, inputs: unknown, path: Path = []): unknown {
  if (isEqual(inputs, live, path) || (isEmpty(inputs) && isEmpty(live))) return inputs;
  if (isBag(inputs) && isBag(live)) {
    const kept = Object.entries(inputs).map(([key, part]) => [key, liveInputs(live[key], part, [...path, key])]);
    return Object.fromEntries(kept.filter(([, part]) => part !== undefined)) as Wire;
  }
  if (Array.isArray(inputs) && Array.isArray(live)) return liveItems(live, inputs, path);
  return live;
}

/** Lists whose items have a key of their own may hold items of others (a side car); the rest belongs to one manager as a whole. */
function liveItems(live: readonly unknown[], inputs: readonly unknown[], path: Path): unknown[] {
  const key = keyOf(inputs) ?? keyOf(live);
  if (key === undefined) return live.map((part, index) => liveInputs(part, inputs[index], [...path, index]));
  return inputs.flatMap((part, index) => {
    const found = live.find((item) => isBag(item) && isBag(part) && item[key] === part[key]);
    return found === undefined ? [] : [liveInputs(found, part, [...path, index])];
  });
}

const itemKeys = ["name", "mountPath", "containerPort", "port", "ip", "topologyKey", "devicePath"];

function keyOf(items: readonly unknown[]): string | undefined {
  if (items.length === 0 || !items.every(isBag)) return undefined;
  return itemKeys.find((key) => {
    const values = items.map((item) => item[key]);
    return values.every((value) => value !== undefined) && new Set(values).size === items.length;
  });
}

/** Maps of quantities: there, `1000m` is `1`. */
const quantityMaps = new Set([
  "limits",
  "requests",
  "capacity",
  "hard",
  "overhead",
  "averageValue",
  "sizeLimit",
  "storage",
]);

function isEqual(one: unknown, other: unknown, path: Path): boolean {
  if (canonicalJson(one ?? null) === canonicalJson(other ?? null)) return true;
  const quantities = path.slice(-2).some((part) => quantityMaps.has(String(part)));
  return quantities && quantity(one) !== undefined && quantity(one) === quantity(other);
}

/** The server leaves out what says nothing. */
function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === "" || value === false || value === 0) return true;
  if (Array.isArray(value)) return value.length === 0;
  return isBag(value) && Object.keys(value).length === 0;
}

const powers: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
};

function quantity(value: unknown): number | undefined {
  const [, number = "", suffix = ""] = /^([+-]?[\d.]+(?:[eE][+-]?\d+)?)([a-zA-Z]*)$/.exec(String(value)) ?? [];
  const power = powers[suffix];
  return number === "" || power === undefined ? undefined : Number(number) * power;
}
