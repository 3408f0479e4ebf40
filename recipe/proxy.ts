/**
 * Seconds without a byte after which a load balancer before a gateway ends a connection: a request may wait for others that are answered first, and
 * an answer that is not streamed comes at once at its end.
 */
export const proxyIdleSeconds = 600;

/**
 * Milliseconds that a gateway keeps a connection that nobody uses. Longer than a balancer does: else it closes one over which the balancer is just
 * sending the next request, which the client then sees as 502.
 */
export const keptConnectionMs = (proxyIdleSeconds + 10) * 1000;
