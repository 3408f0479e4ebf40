import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { alternatives, chooseMachine, volumeSizeGiB } from "../../../recipe/aws/choose.ts";
import { instanceTypes } from "../../../recipe/aws/instance-types.ts";
import { cardOf, hasBf16 } from "../../../recipe/estimates/cards.ts";

const auto = { gpuMemoryGiB: "auto" } as const;
const need = { memoryBytes: 18.4e9, gpus: 1, bf16: true };

describe("chooseMachine", () => {
  it("takes the cheapest that fits, and nothing cheaper does", () => {
    const { type, unfit } = chooseMachine(need, auto);
    expect(type?.name).toBe("g6.xlarge");
    const cheaper = unfit.filter((one) => one.type.usdPerHour < type!.usdPerHour);
    expect(cheaper.map((one) => [one.type.name, one.reason])).toEqual([
      ["g4dn.xlarge", "bf16"],
      ["g4dn.2xlarge", "bf16"],
    ]);
  });

  it("takes a T4 where bf16 is not asked for, if its 15 GiB are enough", () => {
    expect(chooseMachine({ ...need, bf16: false, memoryBytes: 15e9 }, auto).type?.name).toBe("g4dn.xlarge");
    // EC2 says 16 GiB; nvidia-smi shows 15.
    expect(chooseMachine({ ...need, bf16: false, memoryBytes: 16.5e9 }, auto).type?.name).toBe("g6.xlarge");
  });

  it("takes the first of the user's order that fits, even if it is dearer or tight", () => {
    const instanceTypes = ["g4dn.xlarge", "g6e.xlarge", "g5.xlarge"];
    expect(chooseMachine(need, { ...auto, instanceTypes }).type?.name).toBe("g6e.xlarge");
    const tight = { ...need, memoryBytes: 23.5e9 };
    expect(chooseMachine(tight, { ...auto, instanceTypes: ["g5.xlarge"] }).type?.name).toBe("g5.xlarge");
    expect(chooseMachine(tight, auto).type?.name).toBe("g6e.xlarge");
  });

  it.each([
    [{ memoryBytes: 40e9 }, auto, "g6e.xlarge"],
    [{ memoryBytes: 62.2e9 }, auto, "p5.4xlarge"],
    [{ memoryBytes: 123e9 }, auto, "p5en.48xlarge"],
    [{ gpus: 4 }, auto, "g6.12xlarge"],
    [{ gpus: 8 }, auto, "g6.48xlarge"],
    [{ gpu: "A10G" }, auto, "g5.xlarge"],
    [{}, { gpuMemoryGiB: 40 }, "g6e.xlarge"],
    [{ memoryBytes: 200e9 }, auto, undefined],
    [{ gpu: "RTX-4090" }, auto, undefined],
    [{ gpus: 16 }, auto, undefined],
  ])("for %j and %j it is %j %s", (more, asked, name) => {
    expect(chooseMachine({ ...need, ...more }, asked).type?.name).toBe(name);
  });

  it("never takes one that does not fit, nor leaves a cheaper one that does", () => {
    const needs = fc.record({
      memoryBytes: fc.double({ min: 1e8, max: 2e11, noNaN: true }),
      gpus: fc.constantFrom(1, 2, 4, 8),
      bf16: fc.boolean(),
    });
    fc.assert(
      fc.property(needs, (asked) => {
        const { type, fitting, unfit } = chooseMachine(asked, auto);
        expect(fitting.length + unfit.length).toBe(instanceTypes.length);
        const enough = instanceTypes.filter(
          (one) =>
            one.gpus >= asked.gpus &&
            asked.memoryBytes <= 0.95 * one.gpuMemoryBytes &&
            (!asked.bf16 || hasBf16(cardOf(one.gpu)!)),
        );
        expect(type?.usdPerHour).toBe(
          enough.length === 0 ? undefined : Math.min(...enough.map((one) => one.usdPerHour)),
        );
      }),
    );
  });
});

it("alternatives have each another card, cheapest first", () => {
  const others = alternatives(chooseMachine(need, auto));
  expect(others.map(({ name }) => name)).toEqual(["g5.xlarge", "g6e.xlarge", "p5.4xlarge"]);
});

it.each([
  [0, 20],
  [21.2e9, 30],
  [89.4e9, 100],
  [89.6e9, 110],
  [1e12, 1120],
])("a data directory of %d bytes gets a volume of %d GiB", (bytes, size) => {
  expect(volumeSizeGiB(bytes)).toBe(size);
  expect(size * 2 ** 30).toBeGreaterThanOrEqual(1.2 * bytes);
});
