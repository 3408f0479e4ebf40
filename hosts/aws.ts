import { Fault } from "../recipe/fault.ts";
import type { AwsHostSpec } from "../recipe/host.ts";
import type { RemoteHost } from "./remote-host.ts";

/** Reaches the machine of a stack by OpenSSH through SSM. Throws Fault `target-unavailable`: this release provisions none. */
export function openAws({ stack, region }: AwsHostSpec): Promise<RemoteHost> {
  const message = `The machine of ${stack} in ${region} can't be reached: this release provisions none.`;
  return Promise.reject(new Fault({ code: "target-unavailable", message }));
}
