import { Fault } from "../recipe/fault.ts";
import { childEnvironment } from "./processes.ts";

/** What a child left behind. `stderr` is its last 16 KB. */
export interface ChildResult {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ChildOptions {
  /** A Python, to tie the child's life to ours: without one a SIGKILL of ours leaves it running. */
  readonly python?: string;
  readonly signal: AbortSignal;
  /** Given to the child on stdin, where secrets travel. */
  readonly input?: string;
  /** Called with each line of stdout. */
  readonly onLine?: (line: string) => void;
  /** Called with the pid once the child runs. */
  readonly onStart?: (pid: number) => void;
  /** Variables on top of the allow-listed ones. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/**
 * Becomes the command that follows, with the kernel's promise (Linux) that it is killed when its parent dies.
 * Else an orphan would go on writing into a folder that the next ensure removes.
 */
const guard = [
  "import os,sys",
  "try:",
  " import ctypes; ctypes.CDLL(None).prctl(1,9)",
  "except Exception: pass",
  "if os.getppid()!=int(sys.argv[1]): sys.exit(137)",
  "os.execvp(sys.argv[2],sys.argv[2:])",
].join("\n");

/** Runs a child that ends with us, with the allow-listed environment. Never rejects for its exit code; a Fault `cancelled` if aborted. */
export async function runAttached(file: string, words: readonly string[], options: ChildOptions): Promise<ChildResult> {
  const command =
    options.python === undefined || process.platform !== "linux"
      ? [file, ...words]
      : [options.python, "-I", "-S", "-c", guard, String(process.pid), file, ...words];
  const [program = file, ...rest] = command;
  const { execa } = await import("./execa.ts");
  const child = execa(program, rest, {
    env: childEnvironment(options.environment),
    extendEnv: false,
    reject: false,
    cancelSignal: options.signal,
    forceKillAfterDelay: 2000,
    timeout: options.timeoutMs ?? 0,
    ...(options.input === undefined ? { stdin: "ignore" as const } : { input: options.input }),
  });
  if (child.pid !== undefined) options.onStart?.(child.pid);
  if (options.onLine !== undefined) for await (const line of child) options.onLine(line);
  const result = await child;
  if (result.isCanceled) {
    throw new Fault({ code: "cancelled", message: `${file} was cancelled.`, blame: "infrastructure" });
  }
  return {
    exitCode: result.exitCode,
    stdout: result.stdout,
    stderr: (result.stderr === "" && result.exitCode === undefined
      ? (result.originalMessage ?? "")
      : result.stderr
    ).slice(-16_384),
  };
}

/** What a child's stderr says in one line: its last `error:` with the innermost cause, else its last line. */
export function lastWords(stderr: string): string {
  const lines = stderr.split(/[\r\n]+/).flatMap((line) => (line.trim() === "" ? [] : [line.trim()]));
  const start = lines.findLastIndex((line) => /^(error|×|ERROR)/.test(line));
  if (start < 0) return lines.at(-1) ?? "";
  const cause = lines.slice(start + 1).findLast((line) => /^(cause|Caused by|╰─▶|├─▶)/.test(line));
  const plain = (line: string) =>
    line.replace(/^(error|ERROR|cause|Caused by):? ?|^[×╰─▶├]+ ?/g, "").replace(/[.:]$/, "");
  return [lines[start] ?? "", ...(cause === undefined ? [] : [cause])].map(plain).join(": ");
}
