import type { Layout, RunLayout } from "../../recipe/layout.ts";

/** Files of one run, with those that only supervisor and trainer know. */
export interface RunPaths extends RunLayout {
  /** Appended by the trainer: one report a line. It outlives supervisor and trainer. */
  readonly reports: string;
  /** Held by the live trainer, whoever started it. */
  readonly trainerLock: string;
  /** Which process the trainer is, as `ownRecord` says; valid while its lock is held, and from a moment after. */
  readonly trainerPid: string;
  /** Which process the supervisor is, as `ownRecord` says; valid as the trainer's. Its time is the supervisor's heartbeat. */
  readonly supervisorPid: string;
  /** Why ranks other than the first ended, of the attempt that goes on: a report each. */
  readonly ranks: string;
  /** Token of the supervisor that may write. Written by who starts one, before it does. */
  readonly token: string;
  /** Lock and process id of supervisors that were taken over, by their tokens: they may live, stopped. */
  readonly fenced: string;
  /** What a supervisor that failed to start said. */
  readonly supervisorLog: string;
  /** Size and time of each artifact when it was last hashed. */
  readonly seen: string;
  /** The trainer's Python files, as of its start. */
  readonly scripts: string;
  /** The last checkpoint that a kill left half-written. Not in `output`: LLaMA-Factory counts `checkpoint-*` there. */
  readonly torn: string;
  /** What is being removed. */
  readonly trash: string;
  /** Space kept for the last words on a full disk. */
  readonly reserve: string;
  /** How the bucket is reached that the run publishes to; there until the run ends. */
  readonly access: string;
  /** What comes from that bucket, until it is whole. */
  readonly arriving: string;
  /** Files of the checkpoint that is being published: the trainer may drop its own meanwhile. */
  readonly leaving: string;
  /** Caches of this run alone, removed when it is complete. */
  readonly cache: string;
}

/** Where the files of `run` are. */
export function runPaths(layout: Layout, run: string): RunPaths {
  const files = layout.run(run);
  const inside = (name: string): string => `${files.directory}/${name}`;
  return {
    ...files,
    reports: inside("reports.jsonl"),
    trainerLock: inside("trainer.lock"),
    trainerPid: inside("trainer.pid"),
    supervisorPid: inside("supervisor.pid"),
    ranks: inside("ranks"),
    token: inside("supervisor.token"),
    fenced: inside("fenced"),
    supervisorLog: inside("supervisor.log"),
    seen: inside("manifest.seen.json"),
    scripts: inside("trainer"),
    torn: inside("torn"),
    trash: inside("trash"),
    reserve: inside("reserve"),
    access: inside("s3.json"),
    arriving: inside("arriving"),
    leaving: inside("leaving"),
    cache: inside("cache"),
  };
}
