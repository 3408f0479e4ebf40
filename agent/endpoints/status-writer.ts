import { readFile } from "node:fs/promises";
import type { EndpointStatus } from "../../recipe/lifecycle.ts";
import type { EndpointSpec } from "../../recipe/protocol.ts";
import { writeAtomically } from "../files.ts";
import { identityOf } from "../process-identity.ts";
import { type GatewayFiles, specDigest } from "./endpoint-records.ts";
import type { ServedModels } from "./served-models.ts";

/** Keeps `status.json` and `gateway.json` true: one write at a time, and the last one has the last state. */
export class StatusWriter {
  readonly #files: GatewayFiles;
  readonly #port: number;
  readonly #models: ServedModels;
  readonly #spec: () => EndpointSpec;
  readonly #log: (line: string) => void;
  #wanted = false;
  #writing: Promise<void> = Promise.resolve();
  #busy = false;
  /** Texts as they should lie on the disk, by path. */
  readonly #written = new Map<string, string>();

  constructor(options: {
    readonly files: GatewayFiles;
    readonly port: number;
    readonly models: ServedModels;
    readonly spec: () => EndpointSpec;
    readonly log: (line: string) => void;
  }) {
    this.#files = options.files;
    this.#port = options.port;
    this.#models = options.models;
    this.#spec = options.spec;
    this.#log = options.log;
  }

  /** Writes what holds now, soon. Resolves when it is written. */
  write(): Promise<void> {
    this.#wanted = true;
    if (!this.#busy) {
      this.#busy = true;
      this.#writing = this.#writeAll().finally(() => (this.#busy = false));
    }
    return this.#writing;
  }

  /** The status as it is now. */
  status(): EndpointStatus {
    const { experiment, run, host } = this.#spec();
    const models = this.#models.list();
    const detail = models[0]?.detail;
    const refused = this.#models.baseRefused;
    return {
      schemaVersion: 1,
      experiment,
      run,
      state: this.#models.state,
      host,
      port: this.#port,
      gatewayPid: process.pid,
      models,
      ...(refused === undefined ? {} : { baseRefused: refused }),
      updatedAt: new Date().toISOString(),
      ...(detail === undefined ? {} : { detail }),
    };
  }

  /** Writes again what somebody tore or removed. */
  async heal(): Promise<void> {
    for (const [path, text] of this.#written) {
      const found = await readFile(path, "utf8").catch((): undefined => undefined);
      if (found !== text && !this.#busy) return this.write();
    }
  }

  async #put(path: string, value: unknown): Promise<void> {
    const text = `${JSON.stringify(value, null, 2)}\n`;
    await writeAtomically(path, text);
    this.#written.set(path, text);
  }

  async #writeAll(): Promise<void> {
    while (this.#wanted) {
      this.#wanted = false;
      try {
        const spec = this.#spec();
        const engines = this.#models.engines.flatMap(({ pid }) => (pid === undefined ? [] : (identityOf(pid) ?? [])));
        const record = {
          gateway: identityOf(process.pid),
          host: spec.host,
          port: this.#port,
          spec: specDigest(spec),
          engines,
        };
        await this.#put(this.#files.status, this.status());
        await this.#put(this.#files.gateway, record);
      } catch (thrown) {
        // A full disk must not end the endpoint: it answers on, and the next change tries again.
        this.#log(`The status could not be written: ${(thrown as Error).message}`);
      }
    }
  }
}
