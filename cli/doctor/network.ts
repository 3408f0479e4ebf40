import { mirrorName, mirrorVariables, torchMirror } from "../../recipe/mirrors.ts";
import { reach } from "../toolchain/reach.ts";
import { type Say, sayIn } from "../language/say.ts";
import type { Check, Variables } from "./check.ts";

/** A server that a set-up may use. */
interface Server {
  readonly name: string;
  readonly url: string;
  /** What happens without it, where that is fine. */
  readonly without?: string;
  /** What to do without it, where it is not. */
  readonly next?: string;
}

const limitMs = 4000;

/** Which servers answer, with the mirrors and proxies that the environment names. `complete`: the Python environment is there. */
export async function networkChecks(given: Variables, complete: boolean, tell: Say = sayIn("en")): Promise<Check[]> {
  const variables = { ...given, ...mirrorVariables(given) };
  const servers = serversOf(variables, complete, tell);
  const answers = await reach(
    servers.map((server) => server.url),
    limitMs,
    variables,
  );
  return servers.map(({ name, url, without, next }, index) => {
    const answer = answers[index];
    const shown = new URL(url).host;
    if (answer?.ok === true)
      return { name, state: "ok", detail: tell("doctor.net.ok", { host: shown, ms: answer.ms }) };
    const told = { host: shown, reason: answer?.reason ?? "no answer" };
    if (without !== undefined) return { name, state: "note", detail: tell("doctor.net.note", { ...told, without }) };
    const detail = tell("doctor.net.none", told);
    return { name, state: "warning", detail, ...(next === undefined ? {} : { next }) };
  });
}

function serversOf(variables: Variables, complete: boolean, tell: Say): Server[] {
  const pypi = variables["UV_DEFAULT_INDEX"] ?? variables["UV_INDEX_URL"] ?? variables["PIP_INDEX_URL"];
  return [
    {
      name: "PyPI",
      url: urlOr(pypi, "https://pypi.org/simple/"),
      ...(complete ? { without: tell("doctor.net.pypi.without") } : { next: tell("doctor.net.pypi.next") }),
    },
    {
      name: "npm registry",
      url: urlOr(variables["npm_config_registry"], "https://registry.npmjs.org/"),
      without: tell("doctor.net.npm.without"),
    },
    {
      name: "PyTorch",
      url: torchMirror(variables) ?? "https://download.pytorch.org/whl/",
      without: tell("doctor.net.torch.without"),
    },
    {
      name: "Hugging Face",
      url: urlOr(variables["HF_ENDPOINT"], "https://huggingface.co/"),
      without: tell("doctor.net.huggingface.without"),
    },
    {
      name: "ModelScope",
      url: urlOr(variables["MODELSCOPE_DOMAIN"], "https://modelscope.cn/"),
      without: tell("doctor.net.modelscope.without"),
    },
    // No mirror of Pulumi's downloads is known: it is not asked then.
    ...(mirrorName(variables) === undefined
      ? [{ name: "Pulumi", url: "https://get.pulumi.com/", without: tell("doctor.net.pulumi.without") }]
      : []),
  ];
}

function urlOr(given: string | undefined, usual: string): string {
  if (given === undefined || given === "") return usual;
  const url = given.includes("://") ? given : `https://${given}`;
  return URL.canParse(url) ? url : usual;
}
