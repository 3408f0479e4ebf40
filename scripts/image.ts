import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { environmentLock, environmentName } from "../agent/environment/identity.ts";
import { Fault } from "../recipe/fault.ts";
import { type Variant, variantNames } from "../recipe/variants.ts";
import { buildAgent } from "./build.ts";
import { buildImage, findBuilder, pushImage, repositoryOf } from "./image-builders.ts";

/**
 * `npm run image -- [--device cuda|cpu] [--extras a,b] [--name REGISTRY/NAME[:TAG]] [--platform linux/amd64] [--push]`: builds the image of
 * the Pods on Kubernetes with docker, podman or buildah; pushed, it prints its name with digest and the line of the experiment that sets it.
 */
const folder = fileURLToPath(new URL("..", import.meta.url));

/** What was asked for. */
interface Wish {
  readonly device: "cpu" | "cuda";
  readonly extras: readonly Variant[];
  /** NAME:TAG. */
  readonly image: string;
  readonly platform: string | undefined;
  readonly push: boolean;
}

const options = {
  device: { type: "string", default: "cuda" },
  extras: { type: "string", default: "" },
  name: { type: "string", default: "tuneup" },
  platform: { type: "string" },
  push: { type: "boolean", default: false },
} as const;

/** Reads the words of the command. Without a tag the image has one that says what is in it. Throws Fault `option-value`. */
export function readWish(words: readonly string[]): Wish {
  const { device, extras: listed, name, platform, push } = optionsIn(words);
  if (device !== "cpu" && device !== "cuda") throw wrong("--device", device, "cuda or cpu");
  const extras = listed.split(",").filter((one) => one !== "");
  const unknown = extras.find((one) => !(variantNames as readonly string[]).includes(one));
  if (unknown !== undefined)
    throw wrong("--extras", unknown, `some of ${variantNames.join(", ")}, commas between them`);
  const known = extras as Variant[];
  if (!/^[a-z0-9]([\w.\-/:]*[A-Za-z0-9])?$/.test(name))
    throw wrong("--name", name, "a name as docker takes it, e.g. registry.example/team/tuneup");
  if (push && !name.includes("/"))
    throw wrong("--name", name, "a name with its registry to be pushed, e.g. registry.example/team/tuneup");
  const isTagged = repositoryOf(name) !== name;
  const tag = environmentName(environmentLock(known), device);
  return { device, extras: known, image: isTagged ? name : `${name}:${tag}`, platform, push };
}

function optionsIn(words: readonly string[]) {
  try {
    return parseArgs({ args: [...words], options }).values;
  } catch (thrown) {
    throw new Fault({
      code: "option-value",
      message: thrown instanceof Error ? thrown.message : String(thrown),
      next: `Options are ${Object.keys(options)
        .map((name) => `--${name}`)
        .join(", ")}.`,
    });
  }
}

function wrong(option: string, given: string, allowed: string): Fault {
  return new Fault({ code: "option-value", message: `${option} must be ${allowed}, got ${JSON.stringify(given)}.` });
}

/** Builds what is asked for, and pushes it. Returns what is said on stdout. Throws the Faults of image-builders.ts. */
async function makeImage({ device, extras, image, platform, push }: Wish): Promise<string> {
  const builder = await findBuilder(process.env["PATH"]);
  await buildAgent(folder);
  process.stderr.write(`Building ${image} with ${builder.name} (${device}; 2 to 6 GB) ...\n`);
  const buildArguments = { DEVICE: device, EXTRAS: JSON.stringify(extras) };
  await buildImage(builder, { image, folder, buildArguments, platform });
  if (!push)
    return `${image}\nA cluster takes it by its digest, which a registry gives it: --name REGISTRY/NAME --push.\n`;
  const pinned = `${image}@${await pushImage(builder, image)}`;
  return `${pinned}\n  tuneup:kubernetes:\n    image: ${pinned}\n`;
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    process.stdout.write(await makeImage(readWish(process.argv.slice(2))));
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown;
    process.stderr.write(`${thrown.sentence}\n`);
    process.exitCode = thrown.blame === "infrastructure" ? 1 : 2;
  }
}
