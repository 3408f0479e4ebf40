import * as http from "node:http";

let prepared = false;

/** fetch through the proxy that https_proxy, http_proxy and no_proxy name: Node's own looks at them only when it is told to. */
export function proxiedFetch(request: Request | string, init: RequestInit): Promise<Response> {
  // Not in the oldest Node that we run on, and not in its types.
  const { setGlobalProxyFromEnv } = http as { setGlobalProxyFromEnv?: () => unknown };
  if (!prepared) setGlobalProxyFromEnv?.();
  prepared = true;
  return fetch(request, init);
}
