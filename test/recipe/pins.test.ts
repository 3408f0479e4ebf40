import { describe, expect, it } from "vitest";
import { datasetPin, modelPin, pinDatasets, pinModel, readPins } from "../../recipe/pins.ts";

const none = readPins(undefined, "lock");
const words = { id: "Qwen/Qwen2.5-7B-Instruct", source: "hub" };
const found = { source: "modelscope", revision: "0123456789abcdef0123456789abcdef01234567" };

describe("the pin of the model", () => {
  it("holds for the words it was made for, through the file's text", () => {
    const pinned = readPins(JSON.stringify(pinModel(none, words, found)), "lock");
    expect(modelPin(pinned, words)).toEqual(found);
  });

  it.each([
    ["another id", { ...words, id: "Qwen/Qwen3-8B" }],
    ["another source", { ...words, source: "huggingface" }],
    ["a revision", { ...words, revision: "v2" }],
  ])("is dropped by %s in the stack file", (_what, changed) => {
    expect(modelPin(pinModel(none, words, found), changed)).toBeUndefined();
  });

  it("is not needed where the stack file is exact", () => {
    const exact = { id: words.id, ...found };
    expect(pinModel(pinModel(none, words, found), exact, found)).toEqual(none);
  });
});

describe("the pins of datasets", () => {
  it("are replaced together and leave the model's alone", () => {
    const one = { words: { id: "a/one", source: "hub" }, found };
    const two = { words: { id: "b/two", source: "hub" }, found };
    const before = pinDatasets(pinModel(none, words, found), [one, two]);
    const after = pinDatasets(before, [two]);
    expect(datasetPin(before, one.words)).toEqual(found);
    expect(datasetPin(after, one.words)).toBeUndefined();
    expect(datasetPin(after, { id: "b/two", source: "hub", revision: "v1" })).toBeUndefined();
    expect(modelPin(after, words)).toEqual(found);
  });

  it("never take a property of Object for a dataset", () => {
    expect(datasetPin(none, { id: "constructor", source: "hub" })).toBeUndefined();
  });
});

it.each(["", "{", '{"schemaVersion": 2}', '{"schemaVersion": 1, "modle": {}}'])(
  "refuses %s and names the file",
  (text) => {
    expect(() => readPins(text, "stacks/a.lock.json")).toThrow(/stacks\/a\.lock\.json can't be read/);
  },
);
