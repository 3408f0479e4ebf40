import { createHash } from "node:crypto";
import { cp, mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { withLock } from "../../agent/lock.ts";
import { buildProgram, findGo, type Program } from "../../cli/toolchain/build.ts";
import { type Report, terminalReport } from "../../cli/toolchain/report.ts";
import { sharedHome } from "../fixtures/home.ts";
import { packages, systemRelease, unpackPackages } from "./packages.ts";

/** The programs that clusters are made of. They are made once and stay below the shared home of the tests. */
export interface Programs {
  /** All parts of Kubernetes and etcd in one program: the first word says which. */
  readonly one: string;
  /** JobSet, Trainer and the judge of NetworkPolicies. */
  readonly controllers: string;
  /** CustomResourceDefinitions and webhooks of JobSet and Trainer: `crds/*.yaml`, `webhooks/*.yaml`. */
  readonly manifests: string;
  /** Root of the unpacked Debian packages. */
  readonly packages: string;
}

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const kubernetesVersion = "1.37.2";

/** Clients refuse a server that says v0.0.0. */
const versions = [
  `-X k8s.io/component-base/version.gitVersion=v${kubernetesVersion}`,
  `-X k8s.io/component-base/version.gitMajor=${kubernetesVersion.split(".")[0] ?? ""}`,
  `-X k8s.io/component-base/version.gitMinor=${kubernetesVersion.split(".")[1] ?? ""}`,
  "-X k8s.io/component-base/version.gitTreeState=clean",
  `-X k8s.io/client-go/pkg/version.gitVersion=v${kubernetesVersion}`,
];

const programs = {
  one: {
    name: "one",
    folder: here("one"),
    package: ".",
    flags: ["-tags", "netgo,osusergo", "-ldflags", `-s -w ${versions.join(" ")}`],
  },
  controllers: { name: "controllers", folder: here("controllers"), package: ".", flags: ["-ldflags", "-s -w"] },
} satisfies Record<string, Program>;

/**
 * Builds and fetches what is not there yet: 15 CPU minutes the first time (Go >= 1.25), nothing after that. Two who ask at once
 * make it once. Throws Fault where Go or apt-get fails.
 */
export async function ensurePrograms(report: Report = terminalReport()): Promise<Programs> {
  const root = await kept("packages", [packages.join(" "), await systemRelease()], (folder) =>
    unpackPackages(folder, report),
  );
  const one = await kept("one", await sourcesOf(programs.one), (folder) => compile(programs.one, folder, report));
  const controllers = await kept("controllers", await sourcesOf(programs.controllers), async (folder) => {
    await compile(programs.controllers, folder, report);
    await copyManifests(programs.controllers.folder, folder);
  });
  return {
    one: join(one, "one"),
    controllers: join(controllers, "controllers"),
    manifests: controllers,
    packages: root,
  };
}

/** The folder of something that is made once from `sources`: its name holds their hash, and it is there only when it is complete. */
export async function kept(
  name: string,
  sources: readonly string[],
  make: (folder: string) => Promise<void>,
): Promise<string> {
  const hash = createHash("sha256").update(JSON.stringify(sources)).digest("hex").slice(0, 12);
  const folder = join(sharedHome, "cluster", `${name}-${hash}`);
  if (await isThere(folder)) return folder;
  await withLock(`${folder}.lock`, async () => {
    if (await isThere(folder)) return;
    const part = `${folder}.part`;
    await rm(part, { recursive: true, force: true });
    await mkdir(part, { recursive: true });
    await make(part);
    await rename(part, folder);
  });
  return folder;
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

async function sourcesOf({ folder, flags }: Program): Promise<string[]> {
  const names = (await readdir(folder)).toSorted();
  return [...flags, ...(await Promise.all(names.map((name) => readFile(join(folder, name), "utf8"))))];
}

async function compile(program: Program, folder: string, report: Report): Promise<void> {
  const context = { home: sharedHome, environment: process.env, report, signal: new AbortController().signal };
  const go = await findGo(context);
  report.step(`Building ${program.name} of the tests' cluster with ${go.version}: up to 15 CPU minutes, once.`);
  await buildProgram(program, go.path, join(folder, program.name), context);
}

/** Takes what is to be applied from the same modules that the controllers are built from. */
async function copyManifests(module: string, folder: string): Promise<void> {
  const from = async (name: string, path: string): Promise<string> => {
    const { stdout } = await execa("go", ["list", "-m", "-f", "{{.Dir}}", name], { cwd: module });
    return join(stdout, path);
  };
  const jobSet = await from("sigs.k8s.io/jobset", "config/components");
  const trainer = await from("github.com/kubeflow/trainer/v2", "manifests/base");
  await cp(join(jobSet, "crd/bases"), join(folder, "crds"), { recursive: true });
  await cp(join(trainer, "crds"), join(folder, "crds"), { recursive: true });
  await rm(join(folder, "crds", "kustomization.yaml"), { force: true });
  await cp(join(jobSet, "webhook/manifests.yaml"), join(folder, "webhooks", "jobset.yaml"));
  await cp(join(trainer, "webhook/manifests.yaml"), join(folder, "webhooks", "trainer.yaml"));
}
