import { execa } from "execa";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const rounds = 5;

/** Seconds of `pulumi preview` in `folder`, the median of five after one that warms the caches. */
async function previewSeconds(folder: string, stack: string, environment: Record<string, string>): Promise<number> {
  const seconds: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const start = performance.now();
    await execa("pulumi", ["preview", "--stack", stack, "--non-interactive"], { cwd: folder, env: environment });
    if (round > 0) seconds.push((performance.now() - start) / 1000);
  }
  return seconds.sort((a, b) => a - b)[Math.floor(rounds / 2)] ?? NaN;
}

/** A Pulumi program that does nothing: what the engine and the language host take by themselves. */
async function emptyProject(environment: Record<string, string>, modules: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tuneup-bench-"));
  await writeFile(
    join(folder, "Pulumi.yaml"),
    "name: empty\nruntime: {name: nodejs, options: {typescript: false}}\nmain: main.cjs\n",
  );
  await writeFile(
    join(folder, "main.cjs"),
    `require(${JSON.stringify(join(modules, "@pulumi/pulumi"))});\nmodule.exports = () => ({});\n`,
  );
  await writeFile(
    join(folder, "package.json"),
    JSON.stringify({ name: "empty", dependencies: { "@pulumi/pulumi": "*" } }),
  );
  await symlink(modules, join(folder, "node_modules"));
  await execa("pulumi", ["stack", "init", "empty"], { cwd: folder, env: environment });
  return folder;
}

/** Is the stack up? Its resources are counted in the state: a preview of one that never was is another thing than a no-op. */
async function isUp(folder: string, stack: string, environment: Record<string, string>): Promise<boolean> {
  const words = ["stack", "export", "--stack", stack, "--non-interactive"];
  const { stdout, exitCode } = await execa("pulumi", words, { cwd: folder, env: environment, reject: false });
  return exitCode === 0 && /"type": "tuneup-host:/.test(stdout);
}

/** Prints the time of a preview without a change, and its ratio to an empty program's; says so where the stack is not up. */
export async function benchPreview(folder: string, stack: string, environment: Record<string, string>): Promise<void> {
  if (!(await isUp(folder, stack, environment))) {
    console.log(`no-op pulumi preview       not measured: ${stack} is not up. Run \`npx tuneup up ${stack}\` first.`);
    return;
  }
  const ours = await previewSeconds(folder, stack, environment);
  const empty = await emptyProject(environment, join(folder, "node_modules"));
  try {
    const least = await previewSeconds(empty, "empty", environment);
    console.log(
      `no-op pulumi preview       ${ours.toFixed(2)} s  (bar: 2.5 s; ${(ours / least).toFixed(2)} x an empty program's ${least.toFixed(2)} s)`,
    );
  } finally {
    await execa("pulumi", ["stack", "rm", "empty", "--yes", "--force"], { cwd: empty, env: environment });
    await rm(empty, { recursive: true, force: true });
  }
}
