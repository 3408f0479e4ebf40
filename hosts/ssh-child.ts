import type { ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";

/** An `ssh` that runs a command on the host, or forwards a port. */
export type SshChild = ChildProcessByStdio<Writable, Readable, Readable>;
