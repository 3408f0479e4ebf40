import type { EndpointSpec } from "../../../recipe/protocol.ts";

/** What an engine's process is started with. */
export interface EngineLaunch {
  readonly program: string;
  readonly words: readonly string[];
  /** Added to the allow-listed environment. Secrets go here or in `files`, never in `words`. */
  readonly environment: Readonly<Record<string, string>>;
  /** Written (0600) before the start. */
  readonly files: readonly { readonly path: string; readonly text: string }[];
}

/** What a launch is made from. */
export interface EngineSetting {
  readonly spec: EndpointSpec;
  /** Ids that this engine serves: the experiment's name, `base`, or both. */
  readonly models: readonly string[];
  /** The run's output folder: the adapter, or whole weights. */
  readonly output: string;
  /** Folder for the files of this engine. */
  readonly folder: string;
  /** Path of our Python that runs it on this host. */
  readonly wrapper: string;
  /** Loopback port to listen on. */
  readonly port: number;
  /** The engine's own key; only the gateway knows it. */
  readonly key: string;
}

/** One way to serve. Every engine speaks OpenAI's stream with usage in each chunk; the gateway does the rest. */
export interface EngineKind {
  readonly name: EndpointSpec["engine"];
  /** Requests that one engine answers at a time. */
  readonly places: number;
  /** One process serves adapter and base. */
  readonly sharesBase: boolean;
  /** Python package that the environment must have. */
  readonly needs: string;
  /** Our Python that runs it, in agent/python. Default: serve. */
  readonly script?: string;
  /** What it is asked for a request. Default: the request as it is. */
  asks?(body: Readonly<Record<string, unknown>>, spec: EndpointSpec): Readonly<Record<string, unknown>>;
  launch(setting: EngineSetting): EngineLaunch;
}

/** Folder for the files of an engine, in that of its endpoint. An experiment may be called anything; it is not named by it. */
export function engineFolder(directory: string, models: readonly string[]): string {
  return `${directory}/engine-${models[0] === "base" ? "base" : "own"}`;
}

/** No engine may fetch anything: what it serves lies on the disk. */
export const offline: Readonly<Record<string, string>> = {
  HF_HUB_OFFLINE: "1",
  TRANSFORMERS_OFFLINE: "1",
  HF_DATASETS_OFFLINE: "1",
  DO_NOT_TRACK: "1",
};
