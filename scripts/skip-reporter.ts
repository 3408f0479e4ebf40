import type { Reporter, TestModule } from "vitest/node";

/**
 * In CI (`CI=true`) a test that was skipped, because the machine lacks what it needs, fails the run: nothing is green
 * that was not run. Elsewhere the skips are vitest's to tell. Tests left out by `-t` are meant so and do not count.
 */
export default class SkipReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    sayRetried(modules);
    if (
      process.env["CI"] !== "true" ||
      process.argv.some((word) => word === "-t" || word.startsWith("--testNamePattern"))
    ) {
      return;
    }
    const skipped = modules.flatMap((module) =>
      [...module.children.allTests("skipped")].map((test) => {
        const result = test.result();
        const note = "note" in result && result.note !== undefined ? ` (${result.note})` : "";
        return `  ${module.relativeModuleId} > ${test.fullName}${note}`;
      }),
    );
    if (skipped.length === 0) return;
    process.stderr.write(`\nSkipped, which CI does not allow:\n${skipped.join("\n")}\n`);
    process.exitCode = 1;
  }
}

/** A test that passed only the second time is a finding: it is told, where nobody would look for it among the passed. */
function sayRetried(modules: readonly TestModule[]): void {
  const retried = modules.flatMap((module) =>
    [...module.children.allTests()]
      .filter((test) => (test.diagnostic()?.retryCount ?? 0) > 0)
      .map((test) => `  ${module.relativeModuleId} > ${test.fullName}`),
  );
  if (retried.length > 0) process.stderr.write(`\nTried twice:\n${retried.join("\n")}\n`);
}
