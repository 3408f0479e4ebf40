import { appendFileSync, mkdirSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";

/** A gateway's log has this many bytes at most, and the one before it as many. */
export const logLimit = 8 * 1024 ** 2;

/** Moves a log that is full out of the way. */
export function rotateLog(path: string): void {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size > logLimit) renameSync(path, `${path}.1`);
}

/** How often a log that lives as long as its gateway is looked at. */
const linesBetweenLooks = 1000;

/** Writes lines to stdout and to the file at `path`, which `logs` reads. */
export function logTo(path: string, write: (line: string) => void = (line) => console.log(line)) {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  let lines = 0;
  return (line: string): void => {
    const text = `${new Date().toISOString()} ${line}`;
    write(text);
    try {
      if (lines++ % linesBetweenLooks === 0) rotateLog(path);
      appendFileSync(path, `${text}\n`, { mode: 0o600 });
    } catch {
      // A full disk must not end the endpoint, and the line was said.
    }
  };
}
