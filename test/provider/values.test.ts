import { describe, expect, it } from "vitest";
import { asSecret, changedKeys, hasUnknown, reveal, toWire, unknownValue } from "../../provider/values.ts";

describe("values on the wire", () => {
  it("reveals nested secrets and nothing else", () => {
    const bag = { a: asSecret("s"), list: [{ b: asSecret("t") }, 1], plain: { c: null } };
    expect(reveal(bag)).toEqual({ a: "s", list: [{ b: "t" }, 1], plain: { c: null } });
  });

  it("finds an unknown at any depth", () => {
    expect(hasUnknown({ a: [{ b: unknownValue }] })).toBe(true);
    expect(hasUnknown({ a: [{ b: "known" }], c: null })).toBe(false);
  });

  it("never counts an unknown as a change", () => {
    expect(changedKeys(["a", "b"], { a: 1, b: { c: 1 } }, { a: unknownValue, b: { c: unknownValue } })).toEqual([]);
  });

  it("compares values as values", () => {
    expect(changedKeys(["a", "b"], { a: { x: 1e-4, y: 2 }, b: 1 }, { a: { y: 2, x: 0.0001 }, b: 2 })).toEqual(["b"]);
  });

  it("drops what is undefined: the wire has no such value", () => {
    expect(toWire({ a: undefined, b: { c: undefined, d: 1 } })).toEqual({ b: { d: 1 } });
  });
});
