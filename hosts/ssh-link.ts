import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { text } from "node:stream/consumers";
import type { SshHostSpec } from "../recipe/host.ts";
import type { Fault } from "../recipe/fault.ts";
import type { Tunnel } from "./host.ts";
import type { RemoteLink } from "./remote-link.ts";
import { quoted } from "./shell-words.ts";
import { fingerprintIn, isPassing, sshFailed, sshFault, sshMissing } from "./ssh-faults.ts";
import {
  controlSocket,
  followerWords,
  masterWords,
  reachWords,
  type SshRoute,
  type SshTiming,
  sshTiming,
} from "./ssh-options.ts";
import type { SshChild } from "./ssh-child.ts";
import { openTunnel } from "./ssh-tunnel.ts";

/** Ends with its stdin, and ends the connection that it came by: ssh would wait for those who still speak through the tunnel. */
const untilLeft = "cat >/dev/null; kill $PPID 2>/dev/null";

/** The way to one host by OpenSSH: one connection that is kept, and commands over it. */
export class SshLink implements RemoteLink {
  readonly spec: SshHostSpec;
  readonly timing: SshTiming;
  readonly description: string;
  readonly property = "compute.host";
  readonly dataDirectory: string;
  readonly offline: boolean;
  readonly nodeAdvice = "Install Node 24 there so that `ssh HOST node --version` says v24, or let it reach PyPI.";
  readonly patience: number;
  readonly #socket: string;
  readonly #reach: readonly string[];
  readonly #route: SshRoute | undefined;

  /** `route`: a way of ours instead of the user's. Default: what `ssh` does. */
  constructor(spec: SshHostSpec, route?: SshRoute) {
    this.spec = spec;
    this.#route = route;
    this.timing = sshTiming(process.env);
    this.description = spec.address;
    this.dataDirectory = spec.dataDirectory;
    this.offline = spec.offline === true;
    this.patience = this.timing.patience;
    this.#socket = controlSocket(spec, process.env);
    this.#reach = reachWords(spec, this.timing, { route });
  }

  /** Is there a kept connection? */
  async isOpen(): Promise<boolean> {
    return (await this.#control("check")) === 0;
  }

  /** Opens the connection unless it is open. Throws the Faults of ssh-faults.ts. */
  async open(): Promise<void> {
    if (await this.isOpen()) return;
    await this.#route?.admit();
    // A master goes into the background with our stderr: a pipe would never end.
    const log = `${this.#socket}.${process.pid}.log`;
    const output = openSync(log, "w", 0o600);
    try {
      const words = [...this.#reach, ...masterWords(this.#socket), this.spec.address, "true"];
      const code = await this.#ended(this.#spawn(words, ["ignore", "ignore", output]));
      if (code !== 0) throw await this.fault(readFileSync(log, "utf8"));
    } finally {
      closeSync(output);
      rmSync(log, { force: true });
    }
  }

  /** Starts a command of these words on the host; over the open connection if there is one. */
  start(words: readonly string[]): SshChild {
    return this.#spawn(
      [
        ...followerWords(this.#socket, this.#route),
        ...this.#reach,
        this.spec.address,
        `exec ${words.map(quoted).join(" ")}`,
      ],
      ["pipe", "pipe", "pipe"],
    ) as SshChild;
  }

  /** Runs a bash script, given on stdin, and returns what it printed. Throws Fault where ssh failed. */
  async script(script: string): Promise<string> {
    const child = this.start(["bash", "-s"]);
    child.stdin.on("error", () => undefined);
    child.stdin.end(script);
    const [code, stdout, stderr] = await Promise.all([this.#ended(child), text(child.stdout), text(child.stderr)]);
    // A connection that broke may have carried half of it.
    if (code === sshFailed || !stdout.includes("tuneup end"))
      throw await this.fault(stderr || `exit code ${String(code)}`);
    return stdout;
  }

  /**
   * A port of the host's loopback on this machine's `port`, as long as the process lives, and no longer than ours: the command there waits
   * for the end of its stdin. Not over the kept connection, whose end would end it.
   */
  async forward(port: number, there: number): Promise<SshChild> {
    await this.#route?.admit();
    return this.#spawn(
      [
        ...["-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "ExitOnForwardFailure=yes"],
        ...reachWords(this.spec, this.timing, { forwards: true, route: this.#route }),
        ...["-L", `127.0.0.1:${port}:127.0.0.1:${there}`, this.spec.address, `exec bash -c ${quoted(untilLeft)}`],
      ],
      ["pipe", "pipe", "pipe"],
    ) as SshChild;
  }

  tunnel(port: number): Promise<Tunnel> {
    return openTunnel(this, port);
  }

  isLost(code: number | null): boolean {
    return code === sshFailed || code === null;
  }

  isPassing(fault: Fault): boolean {
    return isPassing(fault);
  }

  /** Ends the kept connection, if there is one, as soon as no other process of ours is at work on it. */
  async close(): Promise<void> {
    await this.#control("stop");
  }

  /** What ssh said, as a Fault; for a host key that is not accepted with the key that the host shows. */
  async fault(stderr: string): Promise<Fault> {
    if (this.#route !== undefined) return this.#route.explain(stderr);
    const isKey = /Host key verification failed|HOST IDENTIFICATION HAS CHANGED|host key is known/.test(stderr);
    const { address } = this.spec;
    return sshFault(address, shownCommand(this.spec), stderr, isKey ? await this.#fingerprint() : undefined);
  }

  async #fingerprint(): Promise<string | undefined> {
    const words = ["-v", "-o", "ControlPath=none", ...this.#reach, "-o", "LogLevel=DEBUG1", this.spec.address, "true"];
    const child = this.#spawn(words, ["pipe", "pipe", "pipe"]) as SshChild;
    child.stdin.on("error", () => undefined);
    child.stdin.end();
    const [stderr] = await Promise.all([text(child.stderr), text(child.stdout), this.#ended(child)]);
    return fingerprintIn(stderr);
  }

  /** Asks the master; 0 where there is one. */
  async #control(what: "check" | "stop"): Promise<number | null> {
    const words = ["-O", what, "-o", `ControlPath=${this.#socket}`, this.spec.address];
    return this.#ended(this.#spawn(words, ["ignore", "ignore", "ignore"]));
  }

  async #ended(child: ReturnType<typeof spawn>): Promise<number | null> {
    const [code] = (await once(child, "close").catch((thrown: unknown) => {
      throw (thrown as NodeJS.ErrnoException).code === "ENOENT" ? sshMissing() : thrown;
    })) as [number | null];
    return code;
  }

  #spawn(words: readonly string[], stdio: ("ignore" | "pipe" | number)[]) {
    const variables = Object.entries(process.env).filter(([name]) => !/^(PULUMI|TUNEUP)_/.test(name));
    // A session of its own: the terminal's Ctrl-C reaches our caller, who decides what is cancelled.
    return spawn("ssh", [...words], { stdio, detached: true, env: Object.fromEntries(variables) });
  }
}

/** How a person reaches the host. */
function shownCommand({ address, user, port, identity, jump }: SshHostSpec): string {
  const words = [
    ...(port === undefined ? [] : ["-p", String(port)]),
    ...(identity === undefined ? [] : ["-i", identity]),
    ...(jump === undefined ? [] : ["-J", jump]),
    user === undefined ? address : `${user}@${address}`,
  ];
  return ["ssh", ...words].map(quoted).join(" ");
}
