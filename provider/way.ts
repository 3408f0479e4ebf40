import { type HostSpec, hostSpec, placeOf } from "../recipe/host.ts";

/** How each host is reached, as the program said it last in this process. */
const said = new Map<string, HostSpec>();

/** Notes how the program says that a host is reached: a `check` comes before whatever is done. */
export function rememberWay(host: unknown): void {
  const spec = hostSpec.safeParse(host).data;
  if (spec !== undefined) said.set(placeOf(spec), spec);
}

/**
 * The newest way to the host of a resource in the state. Another key, port or jump host changes no resource, so the state may still hold
 * the old one: what the program said in this update goes first, then what `tuneup` read in the stack file (TUNEUP_HOST, for refresh and
 * destroy, which run no program).
 */
export function wayTo(spec: HostSpec, environment: Readonly<Record<string, string | undefined>>): HostSpec {
  const known = said.get(placeOf(spec));
  if (known !== undefined) return known;
  const given = hostSpec.safeParse(parsed(environment["TUNEUP_HOST"])).data;
  return given !== undefined && placeOf(given) === placeOf(spec) ? given : spec;
}

function parsed(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
