import type { EventEmitter } from "node:events";
import type { Readable, Writable } from "node:stream";
import type { Fault } from "../recipe/fault.ts";
import type { CommandOptions, Tunnel } from "./host.ts";

/** A command that runs on the other end. Emits `close` with its exit code, or with null where it was not told, and the signal. */
export interface RemoteChild extends EventEmitter {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Ends the way to it; what runs there hears that nobody listens any more. */
  kill(signal: NodeJS.Signals): void;
}

/** The way to one place where commands run, whatever carries it. */
export interface RemoteLink {
  /** For people, e.g. `my-gpu`. */
  readonly description: string;
  /** Key of the experiment that says which place it is, for faults. */
  readonly property: string;
  /** As the experiment says it; may begin with `~/`. */
  readonly dataDirectory: string;
  /** Is it told that it reaches no hub? Then nothing is tried there. */
  readonly offline: boolean;
  /** How to get Node 24 there by hand, one sentence. */
  readonly nodeAdvice: string;
  /** How long a lost connection is tried again, in milliseconds. */
  readonly patience: number;
  /** Makes it ready for commands unless it is. Throws Fault where it can't be. */
  open(options?: CommandOptions): Promise<void>;
  /** Starts a command of these words. `open` came before. */
  start(words: readonly string[]): RemoteChild;
  /** Runs a bash script, which prints `tuneup end` last, and returns what it printed. Throws Fault where the way failed. */
  script(script: string): Promise<string>;
  /** Is this how a command ends whose way was lost? */
  isLost(code: number | null): boolean;
  /** Why the way to a command was lost, from what it said. */
  fault(said: string, child?: RemoteChild): Promise<Fault>;
  /** Is it worth trying again? */
  isPassing(fault: Fault): boolean;
  /** A way to a port of the other end's loopback. */
  tunnel(port: number): Promise<Tunnel>;
  /** Ends what was opened. */
  close(): Promise<void>;
}
