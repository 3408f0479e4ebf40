import { describe, expect, it } from "vitest";
import { byteSize, clock, leaves, short } from "../../web/formats.ts";

describe("what people read", () => {
  it.each([
    [0, "0:00"],
    [59.6, "1:00"],
    [3599, "59:59"],
    [3725, "1:02:05"],
    [-3, "0:00"],
  ])("%d seconds are %s", (seconds, text) => expect(clock(seconds)).toBe(text));

  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [9_800_000, "9.8 MB"],
    [269_000_000, "269 MB"],
    [5_500_000_000, "5.5 GB"],
  ])("%d bytes are %s", (bytes, text) => expect(byteSize(bytes)).toBe(text));

  it.each([
    [0, "0"],
    [1.85321, "1.853"],
    [0.0001, "1.00e-4"],
  ])("%d is %s", (value, text) => expect(short(value)).toBe(text));

  it("a config is listed by the paths of its leaves", () => {
    expect(leaves({ model: { id: "m" }, datasets: [{ name: "a" }], wait: true, gone: undefined, none: null })).toEqual([
      ["model.id", "m"],
      ["datasets[0].name", "a"],
      ["wait", "true"],
      ["none", "null"],
    ]);
  });
});
