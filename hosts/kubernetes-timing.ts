/** How a cluster is watched, from the variables of this process; users never need them. */
export interface KubernetesTiming {
  /** Seconds between the questions whether the other end is there; three without a sign of life end the connection. */
  readonly aliveSeconds: number;
  /** How long a lost connection is tried again, and a Pod waits for a node, in milliseconds. */
  readonly patience: number;
  /** How long an image, a volume or a setting may keep a Pod from starting, in milliseconds. */
  readonly startPatience: number;
  /** Between two looks at Pods and Jobs, in milliseconds. */
  readonly poll: number;
}

/** The times as `TUNEUP_KUBERNETES_ALIVE_S`, `_PATIENCE_MS`, `_START_MS` and `_POLL_MS` say; 10 s, 15 minutes, 1 minute, 1 s. */
export function kubernetesTiming(environment: Readonly<Record<string, string | undefined>>): KubernetesTiming {
  const read = (name: string, standard: number): number => {
    const value = Number(environment[`TUNEUP_KUBERNETES_${name}`] ?? NaN);
    return Number.isFinite(value) && value > 0 ? value : standard;
  };
  return {
    aliveSeconds: read("ALIVE_S", 10),
    patience: read("PATIENCE_MS", 900_000),
    startPatience: read("START_MS", 60_000),
    poll: read("POLL_MS", 1000),
  };
}
