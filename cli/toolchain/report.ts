/** How the set-up speaks while it works. */
export interface Report {
  /** A line that stays: a step begun or done, why a route failed. */
  step(line: string): void;
  /** The state of the step right now; replaces the one before it. */
  progress(line: string): void;
}

/** Off a terminal every progress line stays, so that they come this seldom. */
const quietMs = 30_000;

/** Reports on `stream` (default: stderr, so that stdout stays for results). On a terminal, progress rewrites one line. */
export function terminalReport(stream: NodeJS.WriteStream = process.stderr): Report {
  let last = performance.now();
  let open = false;
  const clear = stream.isTTY ? "\r\u001b[K" : "";
  return {
    step(line) {
      stream.write(`${open ? clear : ""}${line}\n`);
      open = false;
      last = performance.now();
    },
    progress(line) {
      if (stream.isTTY) {
        stream.write(clear + line.slice(0, Math.max(stream.columns - 1, 20)));
        open = true;
      } else if (performance.now() - last >= quietMs) {
        stream.write(`${line}\n`);
        last = performance.now();
      }
    },
  };
}

/** A duration for people: `8 s`, `3 min 20 s`. */
export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
