import type { Fault } from "../recipe/fault.ts";
import type { FileDigest } from "../recipe/lifecycle.ts";
import type { CommandInput, CommandName, CommandOutput, LogPosition, Progress } from "../recipe/protocol.ts";

/** What a caller hears while a command runs, and how it gives up waiting. */
export interface CommandOptions {
  readonly onProgress?: (progress: Progress) => void;
  readonly onLog?: (level: "info" | "warning", message: string) => void;
  readonly onLine?: (line: string, at?: LogPosition) => void;
  /** What a repeated command is given instead, e.g. where to go on. Default: the same again. */
  readonly again?: () => Readonly<Record<string, unknown>>;
  /** Ends the command's waiting. What runs detached on the host goes on. */
  readonly signal?: AbortSignal;
}

/** Files of one folder, with what their bytes must be; paths are relative to it. */
export interface Freight {
  /** Folder on this machine. */
  readonly here: string;
  /** Folder on the host. */
  readonly there: string;
  readonly files: readonly FileDigest[];
}

/** A way to a port of the host's loopback. */
export interface Tunnel {
  /** Port on this machine's loopback. */
  readonly port: number;
  close(): Promise<void>;
}

/** A machine with our agent on it. Every kind of host has this one interface. */
export interface Host {
  /** For people, e.g. `this machine`, `my-gpu`. */
  readonly description: string;
  /** Absolute path there. */
  readonly dataDirectory: string;
  /** Are its files this machine's? Then push and fetch have nothing to do, and a path here is one there. */
  readonly isHere: boolean;
  /** Runs one agent command. The data directory is filled in. Throws the agent's Fault. A lost connection is made again. */
  run<N extends CommandName>(
    command: N,
    input: Omit<CommandInput<N>, "dataDirectory">,
    options?: CommandOptions,
  ): Promise<CommandOutput<N>>;
  /** Makes a file of this machine readable on the host; returns its path there. Goes on where an earlier try ended. */
  put(path: string, options?: CommandOptions): Promise<string>;
  /** Brings the files to the host, goes on where an earlier try ended, and checks them there. */
  push(freight: Freight, options?: CommandOptions): Promise<void>;
  /** Brings the files here, goes on where an earlier try ended, and checks them. */
  fetch(freight: Freight, options?: CommandOptions): Promise<void>;
  /** `experiment`: whose port it is, where endpoints are not told apart by their ports. */
  tunnel(port: number, experiment?: string): Promise<Tunnel>;
  /** Can it be asked without waiting for a machine to start? Only of hosts whose machine comes and goes. */
  isUp?(): Promise<boolean>;
  /** Why it can't be asked now; undefined where it can. Of the same hosts. */
  whyDown?(): Promise<Fault | undefined>;
  /** Tells it that what the run left is whole elsewhere too: a machine that ends after its training ends then. */
  noteSafe?(run: string): Promise<void>;
  /** Ends what was opened to reach it: after that no connection is open. */
  close(): Promise<void>;
}
