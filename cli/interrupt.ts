/** What ends a program that does not listen. */
export const endingSignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * A signal that the first Ctrl-C (or SIGTERM, SIGHUP) aborts; the second ends the process as if nobody listened.
 * Call once, in an action that can give up halfway.
 */
export function interruptSignal(): AbortSignal {
  const abort = new AbortController();
  for (const name of endingSignals) {
    // Not `once`: execa ends the process where it finds itself the only listener.
    const listen = (): void => {
      if (!abort.signal.aborted) {
        abort.abort();
        return;
      }
      process.removeAllListeners(name);
      process.kill(process.pid, name);
    };
    process.on(name, listen);
  }
  return abort.signal;
}
