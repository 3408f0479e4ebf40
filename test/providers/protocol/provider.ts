import type { Wire } from "../../../provider/values.ts";
import { isBag } from "./wire.ts";

/** What the state keeps of a resource. */
export interface State {
  readonly id: string;
  readonly outputs: Wire;
  readonly inputs: Wire;
}

/** A resource that is there and not ready: it stays in state, and the next update goes on. */
export class NotReady extends Error {
  readonly state: State;
  readonly reasons: readonly string[];

  constructor(state: State, reasons: readonly string[]) {
    super(reasons.join(" "));
    this.name = "NotReady";
    this.state = state;
    this.reasons = reasons;
  }
}

/** One difference, as the engine shows it. */
export interface Difference {
  readonly path: string;
  readonly kind: "add" | "delete" | "update";
  readonly replaces: boolean;
}

/** What a diff says. */
export interface Diff {
  readonly differences: readonly Difference[];
  readonly deleteBeforeReplace: boolean;
}

/** What a stand-in does for the engine. Each call throws NotReady or a Fault. */
export interface Provider {
  /** Of the plugin, as the SDK asks for it: the engine warns of an older one. */
  readonly version: string;
  /** Takes the configuration. Reaches for nothing. */
  configure(given: Wire): void;
  /** Which settings changed, and whether everything is to be made anew for them. */
  diffConfig(olds: Wire, news: Wire): { readonly changed: readonly string[]; readonly replaces: boolean };
  /** Inputs with what the program may leave out. `seed`: the engine's, the same in preview and update of one plan. */
  check(urn: string, olds: Wire, news: Wire, seed: Uint8Array): Wire | Promise<Wire>;
  /** What changed between two inputs. */
  diff(olds: Wire, news: Wire, urn: string): Diff;
  create(urn: string, inputs: Wire, timeoutSeconds: number): Promise<State>;
  /** `olds` are the outputs of before. */
  update(urn: string, olds: Wire, news: Wire, timeoutSeconds: number, id: string): Promise<State>;
  /** The resource as it is, undefined if it is gone. `inputs` are empty at an import. */
  read(urn: string, id: string, olds: Wire, inputs: Wire): Promise<State | undefined>;
  delete(urn: string, id: string, inputs: Wire, timeoutSeconds: number): Promise<void>;
  /** The answer of a function. Left out where there is none. */
  invoke?(token: string, args: Wire): Promise<Wire>;
  /** Releases those who wait: Ctrl-C, and every normal end. */
  cancel(): void;
}

/** A property bag of the wire; anything else counts as an empty one. */
export function bagOf(value: unknown): Wire {
  return isBag(value) ? value : {};
}
