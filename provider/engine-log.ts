import { readlinkSync } from "node:fs";
import { credentials } from "@grpc/grpc-js";
import { EngineClient } from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import engine from "@pulumi/pulumi/proto/engine_pb.js";
import type { Progress } from "../recipe/protocol.ts";
import { clock } from "../recipe/run-progress.ts";

/** Off a terminal every ephemeral line is printed: there, at most one in this time. */
const quietMs = 30_000;
const liveMs = 500;

/** Does the engine, our parent, write to a terminal? Only Linux can tell; elsewhere the seldom lines do. */
function engineHasTerminal(): boolean {
  try {
    return /^\/dev\/(pts\/|tty)/.test(readlinkSync(`/proc/${process.ppid}/fd/1`));
  } catch {
    return false;
  }
}

/** Progress as one line for people: with the time that is left, where it is known and the message does not tell it itself. */
export function progressLine({ message, secondsLeft }: Progress): string {
  const tells = /\d left\b/.test(message);
  return secondsLeft === undefined || Math.round(secondsLeft) <= 0 || tells
    ? message
    : `${message}, ${clock(secondsLeft)} left`;
}

/** Speaks to the user through the engine: a provider's own stdout is not seen, and `pulumi.log` has no engine here. */
export class EngineLog {
  readonly #client: EngineClient | undefined;
  readonly #lastProgress = new Map<string, number>();
  readonly #interval: number;

  /** `address` is the engine's, as given in the provider's arguments. */
  constructor(address: string | undefined) {
    this.#client = address === undefined ? undefined : new EngineClient(address, credentials.createInsecure());
    this.#interval = process.env["TUNEUP_PROGRESS"] === "live" || engineHasTerminal() ? liveMs : quietMs;
  }

  /** Progress of the resource `urn`: shown beside it, and not kept. */
  progress(urn: string, progress: Progress): void {
    const now = Date.now();
    const last = this.#lastProgress.get(urn);
    if (last !== undefined && now - last < this.#interval) return;
    this.#lastProgress.set(urn, now);
    this.#send(urn, engine.LogSeverity.INFO, progressLine(progress), true);
  }

  /** Something worth keeping in the update's log. */
  keep(urn: string, level: "info" | "warning", message: string): void {
    this.#send(urn, level === "info" ? engine.LogSeverity.INFO : engine.LogSeverity.WARNING, message, false);
  }

  #send(urn: string, severity: engine.LogSeverity, message: string, ephemeral: boolean): void {
    const request = new engine.LogRequest();
    request.setUrn(urn);
    request.setSeverity(severity);
    request.setMessage(message);
    request.setEphemeral(ephemeral);
    // The engine may be gone; a line of progress is not worth failing for.
    this.#client?.log(request, () => undefined);
  }
}
