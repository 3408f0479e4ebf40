import type { FaultFacts } from "../../recipe/fault.ts";
import { saysDiskFull } from "../folders.ts";
import type { Checkpoint } from "./checkpoints.ts";
import type { ReportOf } from "./reports.ts";

/** Exit codes of agent/python/train.py. */
export const exitStopped = 75;
export const exitHeld = 76;

/** How a trainer ended. */
export interface TrainerEnd {
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  /** What it reported, if an exception ended it. */
  readonly fault: ReportOf<"fault"> | undefined;
  /** Why it could not be started. */
  readonly notStarted?: string;
  /** Seconds without progress, if it was ended for that. */
  readonly stalled?: number;
  /** Did the kernel kill a process for want of memory meanwhile? */
  readonly oomKilled?: boolean;
  /** Last line that it printed. */
  readonly lastWords: string;
  /** Steps done. */
  readonly step: number;
  /** What it was at, by its last report; undefined if it made none. */
  readonly phase?: string;
  /** Step of the last checkpoint that it left to go on from. */
  readonly saved?: number;
  /** The checkpoint that it was to go on from and never came to its steps with. */
  readonly unloaded?: Checkpoint;
  /** What it was to train on. */
  readonly device?: "cpu" | "cuda";
}

/**
 * What to do about it. `never`: the same would happen again. `once`: again, but not if the same happens at the same step. `always`:
 * nothing to do with the training. `room`: as soon as the disk has room.
 */
export interface Verdict {
  readonly retry: "never" | "once" | "always" | "room";
  readonly fault: FaultFacts;
}

/** Judges the end of a trainer that did not finish. */
export function judge(end: TrainerEnd): Verdict {
  if (end.notStarted !== undefined) {
    return never("environment-broken", `The environment's Python could not be started (${end.notStarted}).`, {
      next: "Run `npx tuneup up` again: it repairs the environment.",
    });
  }
  if (end.stalled !== undefined) {
    const message = `The trainer made no progress for ${end.stalled} s ${when(end)}, and was stopped.`;
    return always("trainer-stalled", message);
  }
  if (end.fault !== undefined) return judgeException(end.fault, end.device);
  if (saysDiskFull(end.lastWords)) return fullDisk;
  if (end.signal === "SIGKILL" && end.oomKilled === true) {
    const message =
      "The trainer was killed (SIGKILL): the machine's memory ran out, and the kernel killed what took most of it.";
    return always("trainer-killed", message);
  }
  if (end.signal === "SIGKILL") {
    return always("trainer-killed", "The trainer was killed (SIGKILL), as the kernel does when memory runs out.");
  }
  if (end.signal !== undefined) return always("trainer-killed", `The trainer was ended by ${end.signal}.`);
  if (end.code === exitStopped) return always("trainer-stopped", "The trainer was asked to stop, and not by us.");
  if (end.code === exitHeld) return always("trainer-held", "Another trainer still holds the run.");
  const words = end.lastWords === "" ? "" : `: ${end.lastWords}`;
  return {
    retry: "once",
    fault: { code: "trainer-ended", message: `The trainer ended with code ${String(end.code)}${words}`, blame: "bug" },
  };
}

/** A disk without room; how much it has is told at the end. */
export const fullDisk: Verdict = {
  retry: "room",
  fault: { code: "disk-full", message: "The disk is full.", blame: "infrastructure" },
};

/** The result is not what its manifest would say. */
export function damaged(problem: string): Verdict {
  const message = `The trainer finished, but its result is damaged: ${problem}`;
  return { retry: "once", fault: { code: "result-damaged", message, blame: "infrastructure" } };
}

/**
 * The checkpoint that this failure is put down to: one that was not compared byte by byte and could not be loaded. Without it the same
 * trainer, data and model came to their steps before.
 */
export function unloadable({ unloaded, phase, fault }: TrainerEnd, verdict: Verdict): Checkpoint | undefined {
  if (unloaded?.proven !== false || phase !== "preparing" || fault === undefined) return undefined;
  return verdict.fault.code === "training-failed" ? unloaded : undefined;
}

/** What to do once that checkpoint is out of the way. */
export function withoutIt({ step }: Checkpoint, { fault }: Verdict): Verdict {
  const message = `The checkpoint at step ${step} could not be loaded, and is set aside. ${fault.message}`;
  return always("checkpoint-damaged", message);
}

const memoryNext =
  "Lower `train.per_device_train_batch_size` (and raise `train.gradient_accumulation_steps`) or `train.cutoff_len`, or choose a smaller model.";

/** What CUDA says when the GPU itself is at fault. Not `device-side assert triggered`: that is a wrong index in data or model. */
const lostGpu =
  /CUDA (driver )?error: (unspecified launch failure|unknown error|uncorrectable ECC error|hardware stack error|device unavailable|all CUDA-capable devices are busy|the launch timed out)|GPU is lost|fallen off the bus|Unable to determine the device handle|uncorrectable (NVLink|ECC) error/i;

/** The environment was proved on the GPU before any run was: it was there. What trains on the CPU has none to lose. */
const goneGpu = /no CUDA-capable device|CUDA driver initialization failed|No CUDA GPUs are available/i;

/** Exceptions that say that data, config or model are wrong: the next attempt would say so too. */
const userTypes =
  /^(ValueError|KeyError|TypeError|IndexError|AttributeError|AssertionError|NotImplementedError|ImportError|ModuleNotFoundError|FileNotFoundError|PermissionError|UnicodeDecodeError|JSONDecodeError|SafetensorError|DatasetGenerationError|DataFilesNotFoundError|ArrowInvalid|ArrowTypeError|CastError|SystemExit)$/;

/** Does the exception only say that another of the processes that train together is gone? */
export function lostPeer({ type, message }: Pick<ReportOf<"fault">, "type" | "message">): boolean {
  const types = /^Dist(Backend|Network|Store)?Error$/;
  return (
    types.test(type) ||
    /Connection (closed|reset) by peer|Broken pipe|remote process exited|gloo.*(timed out|closed)|NCCL (communicator was aborted|error)/i.test(
      message,
    )
  );
}

/** Where it was, in words. */
function when({ phase, step }: { readonly phase?: string; readonly step: number }): string {
  return phase === undefined || phase === "training" ? `at step ${step + 1}` : `while ${phase}`;
}

function judgeException(fault: ReportOf<"fault">, device: TrainerEnd["device"]): Verdict {
  const { type, message, step } = fault;
  if (saysDiskFull(message)) return fullDisk;
  if (/OutOfMemoryError/.test(type) || /out of memory/i.test(message) || type === "MemoryError") {
    const where = /CUDA|GPU/i.test(message) ? "The GPU" : "The machine";
    return never("out-of-memory", `${where} ran out of memory at step ${step + 1}: ${message}`, { next: memoryNext });
  }
  if (lostPeer(fault)) {
    return always("process-lost", `A process of the training was lost at step ${step + 1}: ${message}`);
  }
  const isGone = type === "GpuMissing" || goneGpu.test(message);
  if (lostGpu.test(message) || (isGone && device !== "cpu")) {
    return always("gpu-lost", `The GPU was lost ${when(fault)}: ${message}`);
  }
  const told = `Training failed ${when(fault)}: ${explain(type, message)}`;
  if (userTypes.test(type)) return never("training-failed", told, { next: "`npx tuneup logs` shows where." });
  return { retry: "once", fault: { code: "training-failed", message: told, next: "`npx tuneup logs` shows where." } };
}

function explain(type: string, message: string): string {
  if (type === "KeyError") return `the data has no ${message} (KeyError).`;
  return `${message.replace(/[.\s]+$/, "")} (${type}).`;
}

function never(code: string, message: string, more: Pick<FaultFacts, "next">): Verdict {
  return { retry: "never", fault: { code, message, ...more } };
}

function always(code: string, message: string): Verdict {
  return { retry: "always", fault: { code, message, blame: "infrastructure" } };
}

/** Is it the same failure at the same step as the last one? */
export function isSame(a: Pick<FaultFacts, "code" | "message">, b: Pick<FaultFacts, "code" | "message">): boolean {
  return a.code === b.code && a.message === b.message;
}
