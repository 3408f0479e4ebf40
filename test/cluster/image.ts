import { createHash } from "node:crypto";
import { copyFile, mkdir, mkdtemp, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { sha256OfFile } from "../../agent/files.ts";

/** What an image is to be. */
export interface Image {
  /** As a Pod names it, with its tag: `tuneup-test/python:1`. */
  readonly name: string;
  /** Folder that becomes its file system. Owners become root, modes stay. */
  readonly root: string;
  /** Words of its program. */
  readonly entrypoint?: readonly string[];
  /** As a number, so that `runAsNonRoot` can be checked. Default: root. */
  readonly user?: string;
  /** `NAME=value`, beside PATH. */
  readonly environment?: readonly string[];
}

const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const oci = "application/vnd.oci.image";

/** Writes an image of one layer as an OCI archive, which `ctr images import` reads. No container engine is needed. */
export async function writeImage(image: Image, archive: string): Promise<void> {
  const layout = await mkdtemp(join(tmpdir(), "tuneup-image-"));
  try {
    const blobs = join(layout, "blobs", "sha256");
    await mkdir(blobs, { recursive: true });
    const layer = await storeLayer(image.root, blobs);
    const architecture = process.arch === "x64" ? "amd64" : process.arch;
    const config = await storeJson(blobs, {
      ...{ architecture, os: "linux" },
      config: {
        Env: [path, ...(image.environment ?? [])],
        Entrypoint: image.entrypoint ?? [],
        User: image.user ?? "0",
      },
      rootfs: { type: "layers", diff_ids: [layer.digest] },
      history: [{ created_by: "tuneup's tests" }],
    });
    const manifest = await storeJson(blobs, {
      ...{ schemaVersion: 2, mediaType: `${oci}.manifest.v1+json` },
      config: { mediaType: `${oci}.config.v1+json`, ...config },
      layers: [{ mediaType: `${oci}.layer.v1.tar`, ...layer }],
    });
    // Its whole name: the kubelet asks containerd for that.
    const annotations = { "io.containerd.image.name": wholeName(image.name) };
    const platform = { architecture, os: "linux" };
    const entry = { mediaType: `${oci}.manifest.v1+json`, ...manifest, platform, annotations };
    await writeFile(join(layout, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
    await writeFile(join(layout, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
    await mkdir(dirname(archive), { recursive: true });
    await execa("tar", ["-cf", `${archive}.part`, "-C", layout, "oci-layout", "index.json", "blobs"]);
    await rename(`${archive}.part`, archive);
  } finally {
    await rm(layout, { recursive: true, force: true });
  }
}

/** Copies files and folders of this machine into `root`: each from a path to a path. Links are followed where they are named. */
export async function fillRoot(root: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [at, from] of Object.entries(files)) {
    const target = join(root, at);
    await mkdir(dirname(target), { recursive: true });
    if ((await stat(from)).isDirectory()) await execa("cp", ["-a", `${from}/.`, target]);
    else await copyFile(from, target);
  }
}

interface Blob {
  readonly digest: string;
  readonly size: number;
}

async function storeLayer(root: string, blobs: string): Promise<Blob> {
  const file = join(blobs, "layer");
  // The same bytes for the same files, so that the same image has the same digest.
  const same = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];
  await execa("tar", [...same, "-cf", file, "-C", root, "."]);
  const hash = await sha256OfFile(file);
  const { size } = await stat(file);
  await rename(file, join(blobs, hash));
  return { digest: `sha256:${hash}`, size };
}

async function storeJson(blobs: string, value: unknown): Promise<Blob> {
  const text = JSON.stringify(value);
  const hash = createHash("sha256").update(text).digest("hex");
  await writeFile(join(blobs, hash), text);
  return { digest: `sha256:${hash}`, size: Buffer.byteLength(text) };
}

/** `python:1` is `docker.io/library/python:1` to containerd, `a/python:1` `docker.io/a/python:1`; what names a registry stays. */
export function wholeName(name: string): string {
  const [first = "", ...rest] = name.split("/");
  if (rest.length === 0) return `docker.io/library/${name}`;
  return first.includes(".") || first.includes(":") ? name : `docker.io/${name}`;
}
