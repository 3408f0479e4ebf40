import { stringify } from "yaml";

/**
 * YAML as LLaMA-Factory's parser reads it, to look at and to run by hand: `no` in quotes, and a dot in 1.0e-7, which it would take
 * for a text otherwise.
 */
export function toYaml(values: Readonly<Record<string, unknown>>): string {
  return stringify(values, { version: "1.1" }).replace(/^(\s*(?:- |[\w"]+: ))(-?\d+)(e[+-]?\d+)$/gm, "$1$2.0$3");
}
