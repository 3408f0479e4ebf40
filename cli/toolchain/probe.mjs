// `node probe.mjs MILLISECONDS URL...`: prints [{url, ok, reason, ms}]. A process of its own, because Node reads
// NODE_USE_ENV_PROXY at its start alone. Any answer counts: a 404 is a reached server.
const [limit, ...urls] = process.argv.slice(2);

async function probe(url) {
  const start = performance.now();
  const ended = (rest) => ({ url, ms: Math.round(performance.now() - start), ...rest });
  try {
    const response = await fetch(url, {
      method: "HEAD",
      redirect: "manual",
      signal: AbortSignal.timeout(Number(limit)),
    });
    // A proxy that refuses answers for the server.
    if (response.status === 407 || response.status === 502 || response.status === 503 || response.status === 504) {
      return ended({ ok: false, reason: `HTTP ${response.status}` });
    }
    return ended({ ok: true });
  } catch (error) {
    const reason =
      error.name === "TimeoutError" ? `no answer in ${limit / 1000} s` : (error.cause?.code ?? error.message);
    return ended({ ok: false, reason });
  }
}

process.stdout.write(JSON.stringify(await Promise.all(urls.map(probe))));
