import type { Reporter, TestModule } from "vitest/node";

/**
 * In CI (`CI=true`) a test that was skipped, because the machine lacks what it needs, fails the run: nothing is green
 * that was not run. Elsewhere each reason is told in a line, which vitest does not. Tests left out by `-t` are meant so and do not count.
 */
export default class SkipReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    sayRetried(modules);
    if (process.argv.some((word) => word === "-t" || word.startsWith("--testNamePattern"))) return;
    const skipped = modules.flatMap((module) =>
      [...module.children.allTests("skipped")].map((test) => {
        const result = test.result();
        const reason = "note" in result && result.note !== undefined ? result.note : "no reason given";
        return { name: `${module.relativeModuleId} > ${test.fullName}`, reason };
      }),
    );
    if (skipped.length === 0) return;
    if (process.env["CI"] !== "true") {
      const reasons = Map.groupBy(skipped, ({ reason }) => reason);
      const lines = [...reasons].map(([reason, tests]) => `  ${tests.length}: ${reason}`);
      process.stderr.write(`\nSkipped tests, and why:\n${lines.join("\n")}\n`);
      return;
    }
    const lines = skipped.map(({ name, reason }) => `  ${name} (${reason})`);
    process.stderr.write(`\nSkipped, which CI does not allow:\n${lines.join("\n")}\n`);
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
