import { readFile } from "node:fs/promises";
import { beforeAll, describe, expect, test } from "vitest";
import * as fc from "fast-check";
import { checkArguments, ownedArguments } from "../../recipe/arguments.ts";
import { parserFaults } from "../../recipe/compatibility/index.ts";
import { argumentsPath, readArguments } from "../../scripts/read-arguments.ts";
import {
  type ArgumentSet,
  brokenSets,
  conflicts,
  machines,
  mendedSets,
  mixedSet,
  wrongSets,
} from "../fixtures/argument-sets.ts";
import { sharedHome } from "../fixtures/home.ts";
import { judgeArguments } from "../fixtures/judge-arguments.ts";
import { environmentPython } from "../fixtures/tiny-model.ts";

let python: string;

beforeAll(async () => {
  python = await environmentPython(sharedHome);
});

/** Our sentences on the same set: kinds and names first, then what does not go together. */
function ours({ arguments: given, context }: ArgumentSet): readonly string[] {
  const own = Object.entries(given).filter(([name]) => !(name in ownedArguments));
  const { faults } = checkArguments(Object.fromEntries(own));
  return [...faults, ...parserFaults(given, context)].map(({ property, message }) => `${property ?? ""} ${message}`);
}

test("the arguments that are checked in are the locked environment's", async () => {
  expect(await readFile(argumentsPath, "utf8")).toBe(await readArguments(python));
});

describe("our verdict is that of LLaMA-Factory's own parser", () => {
  /** The sets on which we differ, with both reasons. */
  async function differences(sets: readonly ArgumentSet[]): Promise<readonly unknown[]> {
    const verdicts = await judgeArguments(python, sets);
    return sets.flatMap((set, index) => {
      const [theirs, mine] = [verdicts[index], ours(set)];
      return theirs?.accepted === (mine.length === 0) ? [] : [{ name: set.name, theirs, mine }];
    });
  }

  test(`on ${brokenSets.length + wrongSets.length} broken sets and ${mendedSets.length} mended ones`, async () => {
    expect(await differences([...brokenSets, ...wrongSets, ...mendedSets])).toEqual([]);
  });

  test("on 200 mixtures of them, on every kind of machine", async () => {
    const pick = fc.record({ index: fc.nat(conflicts.length - 1), mended: fc.boolean() });
    const mixtures = fc
      .tuple(fc.array(pick, { minLength: 1, maxLength: 4 }), fc.constantFrom(...machines))
      .map(([picks, context]) => mixedSet(picks, context));
    expect(await differences(fc.sample(mixtures, { numRuns: 200, seed: 4 }))).toEqual([]);
  });
});
