import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import type { Fault } from "../recipe/fault.ts";
import { machineUser } from "../recipe/aws/user-data.ts";
import type { AwsHostSpec } from "../recipe/host.ts";
import { awaitBoot } from "./aws-boot.ts";
import { awsCalls, type AwsCalls, type Ec2Machine } from "./aws-clients.ts";
import { isPassing, wayFault } from "./aws-faults.ts";
import { stackKey } from "./aws-key.ts";
import { awaitResumed } from "./aws-resume.ts";
import { awaitOnline, findMachine, pause, type Waiting } from "./aws-machine.ts";
import { missingAwsPrograms, programMissing } from "./aws-programs.ts";
import type { AwsTiming } from "./aws-timing.ts";
import type { CommandOptions, Tunnel } from "./host.ts";
import type { RemoteLink } from "./remote-link.ts";
import { quoted } from "./shell-words.ts";
import type { SshChild } from "./ssh-child.ts";
import { SshLink } from "./ssh-link.ts";
import type { SshRoute } from "./ssh-options.ts";

/** Faults of a first connection to a machine that has just come up: its sshd or its agent may be a moment behind. */
const settling = ["machine-unreachable", "machine-refused", "aws-busy", "aws-unreachable"];

type Listener = NonNullable<CommandOptions["onProgress"]>;

/** The way to the machine of a stack, whichever it is at the time: OpenSSH through SSM, without an open port. */
export class AwsLink implements RemoteLink {
  readonly description: string;
  readonly property = "aws";
  readonly dataDirectory: string;
  readonly offline: boolean;
  readonly nodeAdvice =
    "Give the machine a way to PyPI (`aws.egress: nat`), or run tuneup on Linux of the same architecture.";
  readonly patience: number;
  readonly #spec: AwsHostSpec;
  readonly #home: string;
  readonly #timing: AwsTiming;
  readonly #calls: AwsCalls;
  readonly #listeners = new Set<Listener>();
  #ssh: SshLink | undefined;
  #opening: Promise<SshLink> | undefined;
  /** The machine whose first start was seen to be over. */
  #ready: string | undefined;

  /** `home`: the data directory of this machine, where the key is. */
  constructor(spec: AwsHostSpec, home: string, timing: AwsTiming, calls: AwsCalls = awsCalls(spec.region)) {
    this.#spec = spec;
    this.#home = home;
    this.#timing = timing;
    this.#calls = calls;
    this.description = `${spec.stack} in ${spec.region}`;
    this.dataDirectory = spec.dataDirectory;
    this.offline = spec.offline === true;
    this.patience = timing.patience;
  }

  /**
   * Opens the connection to the machine there is, waiting for one that starts. Throws Fault `machine-none`, `machine-ended`, `ssm-absent`,
   * `boot-failed`, `aws-cli-missing`, `session-plugin-missing` and those of aws-faults.ts.
   */
  async open(options: CommandOptions = {}): Promise<void> {
    const { onProgress } = options;
    if (onProgress !== undefined) this.#listeners.add(onProgress);
    try {
      await this.#opened(options.signal);
    } finally {
      if (onProgress !== undefined) this.#listeners.delete(onProgress);
    }
  }

  start(words: readonly string[]): SshChild {
    return this.#known().start(words);
  }

  script(script: string): Promise<string> {
    return this.#known().script(script);
  }

  async tunnel(port: number): Promise<Tunnel> {
    return (await this.#opened(undefined)).tunnel(port);
  }

  isLost(code: number | null): boolean {
    return this.#known().isLost(code);
  }

  fault(said: string): Promise<Fault> {
    return this.#known().fault(said);
  }

  /** What was never reached is told at once. */
  isPassing(fault: Fault): boolean {
    return this.#ready !== undefined && isPassing(fault);
  }

  async close(): Promise<void> {
    await this.#ssh?.close();
  }

  /** Does the machine run, and does SSM know it? Asks once and waits for nothing. Throws the Faults of the calls. */
  async isUp(): Promise<boolean> {
    const machine = await findMachine(this.#calls, this.#spec);
    return machine.state === "running" && (await this.#calls.isOnline(machine.id));
  }

  /** All that ask at once wait together. */
  #opened(signal: AbortSignal | undefined): Promise<SshLink> {
    this.#opening ??= this.#reach(signal).finally(() => (this.#opening = undefined));
    return this.#opening;
  }

  async #reach(signal: AbortSignal | undefined): Promise<SshLink> {
    if (this.#ssh !== undefined && this.#ready !== undefined && (await this.#ssh.isOpen())) return this.#ssh;
    const [missing] = await missingAwsPrograms(process.env["PATH"]);
    if (missing !== undefined) throw programMissing(missing);
    const waiting: Waiting = { timing: this.#timing, tell: (message) => this.#tell(message), signal };
    const machine = await awaitOnline(this.#calls, this.#spec, waiting);
    const ssh = await this.#to(machine);
    await this.#connect(ssh, machine, waiting);
    if (this.#ready !== machine.id) {
      await awaitBoot(ssh, machine.id, waiting);
      if (this.#spec.spot === true) await awaitResumed(ssh, machine.id, waiting);
    }
    this.#ready = machine.id;
    return ssh;
  }

  async #connect(ssh: SshLink, machine: Ec2Machine, waiting: Waiting): Promise<void> {
    const { timing, tell } = waiting;
    const began = performance.now();
    for (;;) {
      try {
        await ssh.open();
        return;
      } catch (thrown) {
        const isSettling = settling.includes((thrown as Fault).code) && this.#ready !== machine.id;
        if (!isSettling || performance.now() - began > timing.patience || isOld(machine)) throw thrown;
        tell(`${machine.id} runs; waiting until it lets in`);
        await pause(waiting);
        await findMachine(this.#calls, this.#spec);
      }
    }
  }

  async #to(machine: Ec2Machine): Promise<SshLink> {
    const { region, stack, dataDirectory } = this.#spec;
    const { id } = machine;
    const { identity, publicKey, knownHosts, proxyLog } = await stackKey(this.#home, stack);
    const user = process.env["TUNEUP_AWS_USER"] ?? machineUser;
    const route: SshRoute = {
      // ssh fills in %.
      proxyCommand: `${proxyCommand(id, region)} 2>>${quoted(proxyLog)}`.replaceAll("%", "%%"),
      knownHosts,
      alias: id,
      // Two programs and a handshake come before the machine's own greeting.
      connectSeconds: 30,
      admit: async () => {
        await writeFile(proxyLog, "", { mode: 0o600 });
        await this.#calls.admit(machine, user, publicKey);
      },
      // ssh throws away what the proxy of a connection says that it keeps.
      explain: (said) => wayFault(`${readFileSync(proxyLog, "utf8")}\n${said}`, id, region),
    };
    this.#ssh = new SshLink({ kind: "ssh", address: id, user, identity, dataDirectory }, route);
    return this.#ssh;
  }

  #known(): SshLink {
    if (this.#ssh === undefined) throw new Error("the link was not opened");
    return this.#ssh;
  }

  #tell(message: string): void {
    for (const listener of this.#listeners) listener({ message });
  }
}

/** What has been up for so long does not settle any more. */
function isOld({ startedAt }: Ec2Machine): boolean {
  return Date.now() - startedAt.getTime() > 30 * 60_000;
}

/** The way to a machine's sshd as AWS's own guide has it. */
function proxyCommand(id: string, region: string): string {
  const words = ["ssm", "start-session", "--region", region, "--target", id];
  const document = ["--document-name", "AWS-StartSSHSession", "--parameters", "portNumber=22"];
  return ["aws", ...words, ...document].map(quoted).join(" ");
}
