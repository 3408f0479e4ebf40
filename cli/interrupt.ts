/**
 * A signal that the first Ctrl-C (or SIGTERM, SIGHUP) aborts; the second ends the process as if nobody listened.
 * Call once, in an action that can give up halfway.
 */
export function interruptSignal(): AbortSignal {
  const abort = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
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
