/** Times of a gateway in milliseconds. Tests shorten them, over processes through the environment; users never see them. */
export interface Timing {
  /** How often the run is looked at while its model is awaited. */
  readonly poll: number;
  /** A completion older than this is no proof any more: the engine is probed. The 30 s for /readyz. */
  readonly probe: number;
  readonly probeTimeout: number;
  /** A model may load this long. Weights of 70B read at 100 MB/s take 24 minutes. */
  readonly start: number;
  /** Waits before the second, third, ... start. As many failures in a row plus one make an engine `failed`. */
  readonly backoff: readonly number[];
  /** An engine that was ready this long has recovered: its failures count from 0 again. */
  readonly stable: number;
  /** An engine that sends nothing for this long while it answers hangs. Reading a long prompt on a CPU takes a minute. */
  readonly stall: number;
  /** A client may take this long to send its body, or to take what it was sent. */
  readonly client: number;
  /** Answers under way may go on this long after SIGTERM. */
  readonly drain: number;
  /** An engine has this long between SIGTERM and SIGKILL. */
  readonly stop: number;
}

export const standardTiming: Timing = {
  poll: 1000,
  probe: 30_000,
  probeTimeout: 20_000,
  start: 1_800_000,
  backoff: [1000, 2000, 4000, 8000],
  stable: 60_000,
  stall: 180_000,
  client: 30_000,
  drain: 5000,
  stop: 5000,
};

/** The standard times, where `TUNEUP_ENDPOINT_PROBE_MS` (both of a probe's) and `TUNEUP_ENDPOINT_STALL_MS` don't say otherwise. */
export function timingFrom(environment: Readonly<Record<string, string | undefined>>): Timing {
  const milliseconds = (name: string): number | undefined => Number(environment[name]) || undefined;
  const probe = milliseconds("TUNEUP_ENDPOINT_PROBE_MS");
  const stall = milliseconds("TUNEUP_ENDPOINT_STALL_MS");
  return {
    ...standardTiming,
    ...(probe === undefined ? {} : { probe, probeTimeout: probe }),
    ...(stall === undefined ? {} : { stall }),
  };
}
