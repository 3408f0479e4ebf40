import { connect } from "node:net";

const pollMs = 5_000;
const mostMisses = 3;

/**
 * Ends this process when the engine's address stops answering: after a SIGKILL of the CLI nobody else would
 * (protocol as tried, in the design). Runs on the host are detached and go on.
 */
export function endWithEngine(address: string): void {
  const [host = "127.0.0.1", port = ""] = address.split(":");
  let misses = 0;
  const timer = setInterval(() => {
    const socket = connect({ host, port: Number(port), timeout: pollMs });
    socket.once("connect", () => {
      misses = 0;
      socket.destroy();
    });
    const missed = (): void => {
      socket.destroy();
      misses += 1;
      if (misses >= mostMisses) process.exit(1);
    };
    socket.once("error", missed);
    socket.once("timeout", missed);
  }, pollMs);
  timer.unref();
}
