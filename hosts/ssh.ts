import type { SshHostSpec } from "../recipe/host.ts";
import { hello } from "./remote-bootstrap.ts";
import { RemoteHost } from "./remote-host.ts";
import { SshLink } from "./ssh-link.ts";

const opened = new Map<string, Promise<RemoteHost>>();

/** Reaches a machine by OpenSSH, once for all that ask in this process. Throws the Faults of ssh-faults.ts, `host-unfit`. */
export function openSsh(spec: SshHostSpec): Promise<RemoteHost> {
  const key = JSON.stringify(spec);
  const host = opened.get(key) ?? reach(new SshLink(spec));
  opened.set(key, host);
  host.catch(() => opened.delete(key));
  return host;
}

async function reach(link: SshLink): Promise<RemoteHost> {
  await link.open();
  const told = await hello(link);
  return new RemoteHost(link, told.data, told);
}
