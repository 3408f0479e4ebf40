import { Fault } from "../../recipe/fault.ts";
import type { Report } from "./report.ts";

/** A Pulumi CLI that can be used, with its Node language host beside it or on PATH. */
export interface PulumiTool {
  /** Absolute path of `pulumi`. */
  readonly command: string;
  /** Folder of `pulumi`. */
  readonly directory: string;
  /** Folder of `pulumi-language-nodejs`. */
  readonly languageDirectory: string;
  /** As `pulumi version` says it, without the v. */
  readonly version: string;
  /** Where it came from: PATH, Pulumi's own installer, or our build of tools/. */
  readonly source: "path" | "official" | "built";
}

/** What a route works with. */
export interface RouteContext {
  /** Our data directory. */
  readonly home: string;
  /** The caller's environment variables. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly report: Report;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

/** One way to fill `folder` with bin/pulumi and bin/pulumi-language-nodejs. Throws Fault with the reason where it can't. */
export interface InstallRoute {
  /** For people, begins a sentence: `The official installer`. */
  readonly name: string;
  readonly source: "official" | "built";
  install(folder: string, context: RouteContext): Promise<void>;
}

/** Throws the fault of a Ctrl-C where there was one. */
export function throwIfCancelled(signal: AbortSignal): void {
  if (!signal.aborted) return;
  throw new Fault({
    code: "cancelled",
    message: "The set-up was interrupted.",
    next: "Run the same command again; it goes on from what is done.",
  });
}
