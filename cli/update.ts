import { CommandError, ConcurrentUpdateError, type EngineEvent } from "./automation.ts";
import { refusalFault } from "../recipe/aws/refusals.ts";
import { Fault } from "../recipe/fault.ts";
import type { Display } from "./display.ts";

/**
 * Runs an operation of the engine with its progress shown. `work` hands `signal` to the Automation API, which interrupts the engine
 * once it is aborted; `onInterrupt` is said then, and the engine's end waited for. Throws Fault with the engine's own sentences,
 * `cancelled` where it was interrupted, also before it began.
 */
export async function withDisplay<T>(
  work: (options: { readonly onEvent: (event: EngineEvent) => void; readonly signal: AbortSignal }) => Promise<T>,
  display: Display,
  onInterrupt: string,
  signal: AbortSignal,
): Promise<T> {
  const tell = (): void => display.say(onInterrupt);
  signal.addEventListener("abort", tell, { once: true });
  try {
    signal.throwIfAborted();
    const result = await work({ onEvent: (event) => display.take(event), signal });
    // The engine was done before it heard of it: what would come next is not wanted.
    signal.throwIfAborted();
    return result;
  } catch (thrown) {
    throw signal.aborted ? cancelled() : told(thrown, display.errors);
  } finally {
    signal.removeEventListener("abort", tell);
    display.close();
  }
}

/** What an interrupted command ends with; main.ts makes exit code 130 of it. */
export function cancelled(): Fault {
  return new Fault({
    code: "cancelled",
    message: "Interrupted. Nothing is lost: the state is valid and a run that was started goes on.",
    next: "`npx tuneup up` attaches to it again, `npx tuneup status` shows it, `npx tuneup down` ends it.",
    blame: "infrastructure",
  });
}

/** What the engine's failure is to the user: a Fault with `errors`, which it told on its way, or its own sentence. */
export function told(thrown: unknown, errors: readonly string[] = []): unknown {
  if (thrown instanceof ConcurrentUpdateError) {
    return new Fault({
      code: "stack-locked",
      message: "Another pulumi is at work on this stack.",
      next: "Wait until it has ended; if its process is dead, `npx tuneup up` clears its lock (plain: `pulumi cancel`).",
      blame: "infrastructure",
    });
  }
  if (thrown instanceof CommandError && errors.length > 0) {
    return new Fault({ code: "update-failed", message: sentencesOf(errors).join("\n") });
  }
  if (thrown instanceof CommandError) {
    return new Fault({ code: "update-failed", message: plain(thrown.message), blame: "infrastructure" });
  }
  return thrown;
}

/** What is worth telling of the engine's errors: that the update failed is known from them. */
function sentencesOf(errors: readonly string[]): string[] {
  // Several resources may fail for one reason.
  const told = [...new Set(errors.map((error) => refusalFault(error)?.sentence ?? plain(error)))];
  const known = /^(update|preview|refresh|destroy) failed$|^failed to run remediation: context canceled$/;
  const telling = told.filter((sentence) => !known.test(sentence));
  return telling.length > 0 ? telling : told;
}

/** The engine's error without its own frame and, where the command itself failed, without all else of its output. */
function plain(message: string): string {
  const said = /^code: -?\d+\n/.test(message)
    ? (/^error: [^]*?(?=\n err\?: |$(?![^]))/m.exec(message)?.[0] ?? message)
    : message;
  return (
    said
      .replace(/^error: /, "")
      .replace(/^Running program '[^']*' failed with an unhandled exception:\n/, "")
      // The engine looks the value up by the whole name, which is no input's: it finds none.
      .replace(/^\S+ resource '[^']*': property (\S+) value \{[^]*?\} has a problem: /, "tuneup:$1: ")
      .trim()
  );
}
