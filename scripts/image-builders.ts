import { readFile } from "node:fs/promises";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { findExecutable } from "../cli/toolchain/executables.ts";
import { Fault } from "../recipe/fault.ts";

/** Programs that build images, in the order in which they are taken. */
export const builderNames = ["docker", "podman", "buildah"] as const;
export type BuilderName = (typeof builderNames)[number];

/** One that is there and answers. */
export interface Builder {
  readonly name: BuilderName;
  readonly path: string;
}

/** What an image is made of. */
export interface ImageParts {
  /** NAME:TAG. */
  readonly image: string;
  /** The checkout, whose Dockerfile is taken. */
  readonly folder: string;
  readonly buildArguments: Readonly<Record<string, string>>;
  /** As `linux/amd64`. Default: this machine's. */
  readonly platform?: string | undefined;
}

/** What each of them says about itself only if it can build: docker is nothing without its daemon. */
const question = { docker: ["info", "--format", "{{.ServerVersion}}"], podman: ["info"], buildah: ["info"] } as const;

/**
 * The first builder on `path` (a PATH) that answers. Throws Fault `builder-missing` where there is none, with what those said that are there
 * and can't.
 */
export async function findBuilder(path: string | undefined): Promise<Builder> {
  const reasons: string[] = [];
  for (const name of builderNames) {
    const found = await findExecutable(name, path);
    if (found === undefined) continue;
    const { exitCode, stderr } = await execa(found, [...question[name]], { reject: false, stdin: "ignore" });
    if (exitCode === 0) return { name, path: found };
    reasons.push(`${found} can't build: ${stderr.trim().split("\n").at(-1) ?? ""}`);
  }
  throw new Fault({
    code: "builder-missing",
    message: ["No docker, podman or buildah that works is on PATH", ...reasons].join("; ") + ".",
    next: "Install one of them (Debian, Ubuntu: `apt install podman`; macOS: Docker Desktop or `brew install podman`).",
  });
}

/** Words of the command that builds; all three of them take the same. */
export function buildWords({ image, folder, buildArguments, platform }: ImageParts): string[] {
  const given = Object.entries(buildArguments).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]);
  const where = platform === undefined ? [] : ["--platform", platform];
  return ["build", "--file", join(folder, "Dockerfile"), "--tag", image, ...where, ...given, folder];
}

/** Builds, with the builder's output on stderr. Throws Fault `image-not-built`. */
export async function buildImage(builder: Builder, parts: ImageParts): Promise<void> {
  await follow(builder, buildWords(parts), "image-not-built", "could not build the image");
}

/** Pushes the image to its registry; the digest that it has there, `sha256:…`. Throws Fault `image-not-pushed`. */
export async function pushImage(builder: Builder, image: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tuneup-image-"));
  try {
    const file = join(folder, "digest");
    // docker keeps what the registry said with the image; the others write it where they are told.
    const told = builder.name === "docker" ? [] : ["--digestfile", file];
    await follow(builder, ["push", ...told, image], "image-not-pushed", `could not push ${image}`);
    const said = builder.name === "docker" ? await repoDigest(builder, image) : await readFile(file, "utf8");
    const digest = /sha256:[0-9a-f]{64}/.exec(said)?.[0];
    if (digest !== undefined) return digest;
    throw new Fault({
      code: "image-not-pushed",
      message: `${builder.name} pushed ${image} and does not say its digest.`,
      next: "Look it up in the registry.",
      blame: "infrastructure",
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Of several registries that the image was pushed to, this one's. */
async function repoDigest({ path }: Builder, image: string): Promise<string> {
  const { stdout } = await execa(path, ["image", "inspect", "--format", "{{json .RepoDigests}}", image], {
    reject: false,
  });
  const digests = stdout.startsWith("[") ? (JSON.parse(stdout) as string[]) : [];
  const repository = repositoryOf(image);
  return digests.find((one) => one.startsWith(`${repository}@`)) ?? "";
}

/** A name without its tag; a registry's port is none. */
export function repositoryOf(image: string): string {
  return image.replace(/:[^:/]+$/, "");
}

async function follow({ name, path }: Builder, words: readonly string[], code: string, what: string): Promise<void> {
  const { exitCode } = await execa(path, [...words], { reject: false, stdin: "ignore", stdout: 2, stderr: 2 } as const);
  if (exitCode === 0) return;
  throw new Fault({
    code,
    message: `${name} ${what} (exit code ${exitCode ?? "none: a signal"}); its own words are above.`,
    next: "Mend what they say, then run it again: what was built is kept.",
    blame: "infrastructure",
  });
}
