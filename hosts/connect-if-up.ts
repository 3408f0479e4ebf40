import { type HostSpec, isResting } from "../recipe/host.ts";
import { connect } from "./connect.ts";
import type { Host } from "./host.ts";

/**
 * The host for a question that must not wait: undefined where its machine is not there yet, has ended, or starts just now. Throws Fault where
 * that can't be told.
 */
export async function connectIfUp(spec: HostSpec): Promise<Host | undefined> {
  const host = await connect(spec);
  if (host.isUp === undefined) return host;
  return !isResting(spec) && (await host.isUp()) ? host : undefined;
}
