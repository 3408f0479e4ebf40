import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config";
import LongestFirst from "./scripts/longest-first.ts";

const minute = 60_000;

/** A group of tests in a folder of its own. `warm`: it needs the shared tools and the Python environment. */
function group(name: string, patience: number, warm: boolean): TestProjectInlineConfiguration {
  return {
    test: {
      name,
      include: [`test/${name}/**/*.test.ts`],
      testTimeout: patience,
      hookTimeout: patience,
      ...(warm ? { globalSetup: ["test/fixtures/warm.ts"] } : {}),
    },
  };
}

const cluster = group("cluster", 30 * minute, true);
const cloud = group("cloud", 15 * minute, true);

export default defineConfig({
  test: {
    // Ours speaks first: the closing line is vitest's own.
    reporters: ["./scripts/skip-reporter.ts", "default"],
    // Two files at once: engines and trainers of two files fit into 8 GB, and most of their time is one core's.
    maxWorkers: 2,
    // Whatever the developer's locale is.
    env: { TUNEUP_LANGUAGE: "en" },
    // A machine of CI may stand still for a minute in the middle of a test. There a test that failed is tried once more, and said at the end.
    retry: process.env["CI"] === "true" ? 1 : 0,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/{engine,faults,browser,e2e,cluster,cloud}/**"],
          testTimeout: minute,
          hookTimeout: minute,
        },
      },
      group("browser", 2 * minute, false),
      group("engine", 15 * minute, true),
      group("faults", 15 * minute, true),
      group("e2e", 30 * minute, true),
      // Last: its programs are built meanwhile, and a cluster beside engines would be short of cores.
      { ...cluster, test: { ...cluster.test, sequence: { groupOrder: 1 } } },
      { ...cloud, test: { ...cloud.test, sequence: { groupOrder: 1 } } },
    ],
  },
});
