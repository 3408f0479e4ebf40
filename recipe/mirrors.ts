import { Fault } from "./fault.ts";
import mirrors from "./mirrors.json" with { type: "json" };

/** Name of a set of mirrors, the value of TUNEUP_MIRRORS. */
export type MirrorName = keyof typeof mirrors;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Variables of the user's own that say the same in another way: where one is set, the mirror's is not. An index of
 * pip's is uv's as well (see agent/environment/uv-variables.ts), not the other way round.
 */
const sameAs: Readonly<Record<string, readonly string[]>> = {
  npm_config_registry: ["NPM_CONFIG_REGISTRY"],
  UV_DEFAULT_INDEX: ["UV_INDEX_URL", "PIP_INDEX_URL"],
  UV_PYTHON_INSTALL_MIRROR: ["UV_ASTRAL_MIRROR_URL"],
  // With an endpoint of the user's own, Xet is as the user has it.
  HF_HUB_DISABLE_XET: ["HF_ENDPOINT"],
};

/** The mirrors that TUNEUP_MIRRORS names; undefined where it is unset. Throws Fault `mirrors-unknown`. */
export function mirrorName(environment: Environment): MirrorName | undefined {
  const name = environment["TUNEUP_MIRRORS"];
  if (name === undefined || name === "") return undefined;
  if (Object.hasOwn(mirrors, name)) return name as MirrorName;
  throw new Fault({
    code: "mirrors-unknown",
    message: `TUNEUP_MIRRORS is ${JSON.stringify(name)}, and known are: ${Object.keys(mirrors).join(", ")}.`,
    next: "Set it to one of these, or unset it.",
  });
}

/**
 * The variables by which npm, uv, pip, Go and the hubs' clients find the mirrors that TUNEUP_MIRRORS names; empty where
 * it is unset. What the user has set wins. Throws Fault `mirrors-unknown`.
 */
export function mirrorVariables(environment: Environment): Record<string, string> {
  const name = mirrorName(environment);
  if (name === undefined) return {};
  const isSet = (variable: string): boolean => (environment[variable] ?? "") !== "";
  return Object.fromEntries(
    Object.entries(mirrors[name].variables).filter(
      ([variable]) => ![variable, ...(sameAs[variable] ?? [])].some(isSet),
    ),
  );
}

/** Folder of PyTorch's wheels at the mirror, one below it for each build (`cpu/`, `cu126/`, ...); undefined without mirrors. */
export function torchMirror(environment: Environment): string | undefined {
  const name = mirrorName(environment);
  return name === undefined ? undefined : mirrors[name].torch;
}

/** The hub that is nearer, to be asked before the other; undefined without mirrors, where both are asked at once. */
export function nearerHub(environment: Environment): "modelscope" | "huggingface" | undefined {
  const name = mirrorName(environment);
  return name === undefined ? undefined : (mirrors[name].hub as "modelscope" | "huggingface");
}

/** Address of a hub without a slash at its end: as its own variables say, else TUNEUP_MIRRORS, else the hub itself. Throws Fault `mirrors-unknown`. */
export function hubEndpoint(hub: "modelscope" | "huggingface", given: Environment): string {
  const variables: Environment = { ...given, ...mirrorVariables(given) };
  const said = (...names: readonly string[]) =>
    names.map((name) => variables[name]).find((value) => (value ?? "") !== "");
  const address =
    hub === "huggingface"
      ? (said("HF_ENDPOINT") ?? "https://huggingface.co")
      : (said("MODELSCOPE_ENDPOINT", "MODELSCOPE_DOMAIN") ?? "https://www.modelscope.cn");
  return `${/^https?:\/\//i.test(address) ? "" : "https://"}${address.replace(/\/+$/, "")}`;
}
