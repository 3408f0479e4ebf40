import { readFile } from "node:fs/promises";
import { get } from "node:https";
import { join } from "node:path";
import { execa } from "execa";
import { until } from "../agent/runs/harness.ts";
import type { Credentials } from "./certificates.ts";
import type { Namespace } from "./namespace.ts";
import type { Programs } from "./programs.ts";

/** Runs kubectl as administrator with words and what it is to read; stdout. */
export type Kubectl = (words: readonly string[], input?: string) => Promise<string>;

/** A way to the API from this machine's own network. */
export interface Door {
  /** Of the administrator, through the door. */
  readonly kubeconfig: string;
  readonly kubectl: Kubectl;
  /** Does the API server say that it is ready? */
  readonly answers: () => Promise<boolean>;
}

/** Opens one: two relays, one on each side of a socket in the cluster's folder. */
export async function openDoor(namespace: Namespace, { one }: Programs, credentials: Credentials): Promise<Door> {
  const socket = join(namespace.folder, "api.sock");
  await namespace.start("relay-inside", [one, "relay", `unix:${socket}`, "tcp:127.0.0.1:6443"]);
  const { log, alive } = await namespace.start("relay", [one, "relay", "tcp:127.0.0.1:0", `unix:${socket}`], {
    network: "here",
  });
  let address = "";
  await until(async () => {
    address = (await readFile(log, "utf8")).split("\n")[0] ?? "";
    if (!alive()) throw new Error(`The way to the API has ended: ${address}`);
    return address.includes(":");
  });
  const server = `https://${address}`;
  const kubeconfig = await credentials.writeKubeconfig("admin", server, "outside");
  return {
    kubeconfig,
    kubectl: async (words, input) => {
      const command = ["kubectl", `--kubeconfig=${kubeconfig}`, ...words];
      return (await execa(one, command, input === undefined ? { stdin: "ignore" } : { input })).stdout;
    },
    answers: () =>
      new Promise((resolve) => {
        const request = get(
          `${server}/readyz`,
          { ca: credentials.authority, timeout: 2000, agent: false },
          (response) => {
            response.resume();
            resolve(response.statusCode === 200);
          },
        );
        request.on("timeout", () => request.destroy()).on("error", () => resolve(false));
      }),
  };
}
