/** Times of a run in milliseconds. Tests shorten them through the environment; users never see them. */
export interface Timing {
  /** Waits before the second, third, ... attempt; the last one is the last. */
  readonly backoff: readonly number[];
  /** A trainer has this long between being asked to stop and SIGKILL: the step that runs, then a checkpoint. */
  readonly stopGrace: number;
  /** How often the trainer's reports are read. */
  readonly poll: number;
  /** A run that was just declared may have no supervisor for this long. Node starts in 0.1 s, on a loaded machine in seconds. */
  readonly startGrace: number;
  /** A checkpoint is saved when the last one is older than this. */
  readonly save: number;
  /** How often a supervisor gives a sign of life. */
  readonly beat: number;
  /** A supervisor that gave none for this long, by the clock of who waits for it, is taken over. */
  readonly stale: number;
  /** A trainer may be silent for ten of its steps, but never for less than this. */
  readonly stall: number;
}

export const standardTiming: Timing = {
  backoff: [2000, 10_000, 30_000, 60_000],
  stopGrace: 60_000,
  poll: 250,
  startGrace: 15_000,
  save: 600_000,
  beat: 5000,
  stale: 60_000,
  stall: 600_000,
};

/** Each time and the variable that says otherwise; the backoff is one time for all attempts. */
const variables = {
  stopGrace: "TUNEUP_RUN_STOP_GRACE_MS",
  save: "TUNEUP_RUN_SAVE_MS",
  beat: "TUNEUP_RUN_BEAT_MS",
  stale: "TUNEUP_RUN_STALE_MS",
  stall: "TUNEUP_RUN_STALL_MS",
} as const;

/** The standard times, where `TUNEUP_RUN_BACKOFF_MS` and the variables above don't say otherwise. */
export function timingOf(environment: Readonly<Record<string, string | undefined>>): Timing {
  const milliseconds = (name: string): number | undefined => {
    const value = Number(environment[name] ?? NaN);
    return Number.isFinite(value) && value >= 0 ? value : undefined;
  };
  const backoff = milliseconds("TUNEUP_RUN_BACKOFF_MS");
  const said = Object.entries(variables).flatMap(([time, name]) => {
    const value = milliseconds(name);
    return value === undefined ? [] : [[time, value] as const];
  });
  return {
    ...standardTiming,
    ...(backoff === undefined ? {} : { backoff: standardTiming.backoff.map(() => backoff) }),
    ...Object.fromEntries(said),
  };
}
