import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { execa } from "execa";
import type { Namespace } from "./namespace.ts";

/** The wire between this machine and the host, and what can happen to it. Each ends by itself when the rig is removed. */
export interface Wire {
  /** Drops every packet, both ways, silently: as a cable that is pulled somewhere on the way. */
  cut(): Promise<void>;
  /** Packets that the cut has dropped so far: proof that it hit something. */
  dropped(): Promise<number>;
  /** Lets connections live on, but refuses new ones. */
  refuse(): Promise<void>;
  /** At most so many kbit a second, each way. */
  slow(kbitPerSecond: number): Promise<void>;
  /** All as it was. */
  heal(): Promise<void>;
  /** Bytes that have gone to the host since the start. */
  sent(): Promise<number>;
  /** Bytes that have come from the host since the start. */
  received(): Promise<number>;
  /** Is a new connection to the host's ssh port taken within this time? */
  open(patienceMs?: number): Promise<boolean>;
  /** Connections to the host's ssh port that are open, as the host sees them. */
  connections(): Promise<number>;
}

const cutRules = `table inet cut {
  chain in { type filter hook input priority 0; iif eth0 counter drop; }
  chain out { type filter hook output priority 0; oif eth0 counter drop; }
}`;
const refuseRules = `table inet refuse {
  chain in { type filter hook input priority 0; iif eth0 tcp flags & (syn | ack) == syn counter reject with tcp reset; }
}`;

/** The controls of a namespace's wire. */
export function wireOf({ inside, wire, address }: Namespace): Wire {
  const nft = async (rules: string): Promise<void> => {
    await inside(["nft", rules]);
  };
  const bytes = async (direction: "tx" | "rx"): Promise<number> =>
    Number(await readFile(`/sys/class/net/${wire}/statistics/${direction}_bytes`, "utf8"));
  const here = ["tc", "qdisc"] as const;
  return {
    cut: () => nft(cutRules),
    refuse: () => nft(refuseRules),
    slow: async (rate) => {
      const words = ["root", "tbf", "rate", `${rate}kbit`, "burst", "16kb", "latency", "500ms"];
      await execa(here[0], [here[1], "replace", "dev", wire, ...words]);
      await inside([...here, "replace", "dev", "eth0", ...words]);
    },
    heal: async () => {
      // A table that is not there is made first: its deletion would fail.
      for (const table of ["cut", "refuse"]) await nft(`add table inet ${table}; delete table inet ${table}`);
      await execa(here[0], [here[1], "del", "dev", wire, "root"], { reject: false });
      await inside([...here, "del", "dev", "eth0", "root"]).catch(() => undefined);
    },
    dropped: async () => {
      const text = await inside(["nft", "list", "table", "inet", "cut"]);
      return [...text.matchAll(/counter packets (\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
    },
    sent: () => bytes("tx"),
    received: () => bytes("rx"),
    open: (patienceMs = 1000) => opens(address, patienceMs),
    connections: async () => {
      const text = await inside(["ss", "-Htn", "state", "established", "sport", "=", ":22"]);
      return text.split("\n").filter((line) => line !== "").length;
    },
  };
}

function opens(host: string, patienceMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port: 22 });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(patienceMs, () => end(false));
    // Taken is what sshd greets, not what the kernel alone accepts.
    socket
      .once("data", () => end(true))
      .once("error", () => end(false))
      .once("close", () => end(false));
  });
}
