import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import { Fault } from "../recipe/fault.ts";
import type { CommandInput, CommandName, CommandOutput } from "../recipe/protocol.ts";
import type { CommandOptions, Freight, Host, Tunnel } from "./host.ts";
import { bootstrap, hello, type Hello } from "./remote-bootstrap.ts";
import { LostConnection, type Programs, runRemote } from "./remote-command.ts";
import { fetchFiles, isWrongStart, type Route, sendFiles, wantedHere, wantedOf } from "./remote-freight.ts";
import type { RemoteLink } from "./remote-link.ts";
import { survey } from "./remote-survey.ts";

/** Between two tries to reach a host that was lost. */
const retryMs = 1000;

/** So many times in a row a command may end without a word on a connection that works: then it is the command's fault. */
const mostDeaths = 4;

/** Commands that follow something until it ends: they are taken up again however long the host was away. */
const following: readonly CommandName[] = ["run-wait", "endpoint-wait", "logs"];

/** A place behind a link. What runs there never depends on the connection. */
export class RemoteHost implements Host {
  readonly description: string;
  readonly dataDirectory: string;
  readonly isHere = false;
  readonly #link: RemoteLink;
  #hello: Hello | undefined;
  #programs: Promise<Programs> | undefined;

  /** `dataDirectory`: absolute. `told`: what it said, where it was asked already. */
  constructor(link: RemoteLink, dataDirectory: string, told?: Hello) {
    this.description = link.description;
    this.dataDirectory = dataDirectory;
    this.#link = link;
    this.#hello = told;
  }

  async run<N extends CommandName>(
    command: N,
    input: Omit<CommandInput<N>, "dataDirectory">,
    options: CommandOptions = {},
  ): Promise<CommandOutput<N>> {
    const whole = { ...input, dataDirectory: this.dataDirectory } as unknown as CommandInput<N>;
    if (command === "preflight") return (await this.#preflight(whole, options)) as CommandOutput<N>;
    const once = async (): Promise<CommandOutput<N>> =>
      runRemote(this.#link, await this.#ready(options), command, { ...whole, ...options.again?.() }, options);
    return this.#keepTrying(once, options, following.includes(command));
  }

  async put(path: string, options: CommandOptions = {}): Promise<string> {
    const whole = resolve(path);
    const { size } = await stat(whole);
    const hash = createHash("sha256");
    await pipeline(createReadStream(whole), hash);
    const sha256 = hash.digest("hex");
    const name = basename(whole);
    const there = `${this.dataDirectory}/uploads/${sha256.slice(0, 16)}`;
    await this.push({ here: dirname(whole), there, files: [{ path: name, bytes: size, sha256 }] }, options);
    return `${there}/${name}`;
  }

  async push(freight: Freight, options: CommandOptions = {}): Promise<void> {
    const { there: folder, files } = freight;
    const once = async (): Promise<void> => {
      const route = await this.#route(options);
      const { here } = await runRemote(
        this.#link,
        route.programs,
        "files-state",
        { ...this.#place(), folder, files: [...files] },
        {},
      );
      const wanted = wantedOf(files, here);
      if (wanted.length === 0) return;
      await sendFiles(route, freight, wanted, options).catch((thrown: unknown) => {
        if (!isWrongStart(thrown, wanted)) throw thrown;
        return once();
      });
    };
    await this.#keepTrying(once, options, false);
  }

  async fetch(freight: Freight, options: CommandOptions = {}): Promise<void> {
    const once = async (): Promise<void> => {
      const wanted = await wantedHere(freight);
      if (wanted.length === 0) return;
      await fetchFiles(await this.#route(options), freight, wanted, options).catch((thrown: unknown) => {
        if (!isWrongStart(thrown, wanted)) throw thrown;
        return once();
      });
    };
    await this.#keepTrying(once, options, false);
  }

  tunnel(port: number): Promise<Tunnel> {
    return this.#link.tunnel(port);
  }

  async close(): Promise<void> {
    await this.#link.close();
  }

  /** What the agent tells where it is, else what the machine tells by itself: a preview changes nothing there. */
  async #preflight(input: CommandInput<"preflight">, options: CommandOptions): Promise<CommandOutput<"preflight">> {
    const told = await this.#greet(options);
    const survey_ = survey(this.#link, told, input);
    // Also where it has a Node of its own, nothing is brought before `up`.
    const isThere = this.#programs !== undefined || (told.node !== undefined && told.isKnown);
    if (!isThere) return survey_;
    const asked = this.#keepTrying(
      async () => runRemote(this.#link, await this.#ready(options), "preflight", input, options),
      options,
      false,
    );
    const [facts, { egress, libc, clockAheadSeconds }] = await Promise.all([asked, survey_]);
    return { ...facts, ...{ egress, libc, clockAheadSeconds } };
  }

  #place(): { readonly dataDirectory: string } {
    return { dataDirectory: this.dataDirectory };
  }

  async #route(options: CommandOptions): Promise<Route> {
    return { link: this.#link, programs: await this.#ready(options), dataDirectory: this.dataDirectory };
  }

  async #greet(options: CommandOptions): Promise<Hello> {
    await this.#link.open(options);
    return (this.#hello ??= await hello(this.#link));
  }

  /** Connection open, Node and agent there. */
  async #ready(options: CommandOptions): Promise<Programs> {
    const told = await this.#greet(options);
    this.#programs ??= bootstrap(this.#link, told, options);
    try {
      return await this.#programs;
    } catch (thrown) {
      this.#forget();
      throw thrown;
    }
  }

  /** What is known of the host may not hold any more: it may have been set up anew. */
  #forget(): void {
    this.#hello = undefined;
    this.#programs = undefined;
  }

  /** The fault of a lost connection; undefined where another try does not help. */
  #passing(thrown: unknown): Fault | undefined {
    const fault = thrown instanceof LostConnection ? thrown.fault : thrown;
    return fault instanceof Fault && this.#link.isPassing(fault) ? fault : undefined;
  }

  /** Repeats `work` after a lost connection: every command may be repeated. */
  async #keepTrying<T>(work: () => Promise<T>, options: CommandOptions, forEver: boolean): Promise<T> {
    let lostAt: number | undefined;
    let deaths = 0;
    for (;;) {
      try {
        return await work();
      } catch (thrown) {
        const fault = this.#passing(thrown);
        if (fault === undefined || options.signal?.aborted === true) throw told(thrown);
        deaths = thrown instanceof LostConnection ? (thrown.heard ? 0 : deaths + 1) : 0;
        lostAt = thrown instanceof LostConnection && thrown.heard ? performance.now() : (lostAt ?? performance.now());
        if (deaths > mostDeaths) throw fault;
        if (!forEver && performance.now() - lostAt > this.#link.patience) throw fault;
        options.onProgress?.({ message: `the connection to ${this.description} is lost; trying again` });
        this.#forget();
      }
      await delay(retryMs, undefined, options.signal === undefined ? {} : { signal: options.signal }).catch(
        () => undefined,
      );
    }
  }
}

function told(thrown: unknown): unknown {
  return thrown instanceof LostConnection ? thrown.fault : thrown;
}
