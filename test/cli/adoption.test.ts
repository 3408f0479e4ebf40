import { expect, it } from "vitest";
import { adoptable, changedKeys } from "../../cli/adoption.ts";
import { fakeHost } from "../fixtures/fake-host.ts";

const config = { model: { id: "m" }, datasets: [{ builtin: "general" }], train: { template: "qwen", cutoff_len: 256 } };

/** A host with these runs, newest first; all were made from `config`. */
function hostWith(...runs: readonly string[]) {
  return fakeHost("/there", (command, input) => {
    if (command === "run-list") return runs.map((run) => ({ run, state: "training" }));
    if (command === "run-read") return { spec: { config, run: (input as { run: string }).run } };
    throw new Error(command);
  });
}

it("takes over the run of the experiment's name, though a newer one is there", async () => {
  const found = await adoptable(hostWith("x-2", "x-1"), { experiment: "x", run: "x-1", config });
  expect(found.run).toBe("x-1");
});

it("says that there is none", async () => {
  const none = adoptable(hostWith(), { experiment: "x", run: "x-1", config });
  await expect(none).rejects.toMatchObject({ code: "adopt-nothing", message: "a fake has no run of x in /there." });
});

it("refuses where the file makes another run, and names the keys", async () => {
  const changed = { ...config, train: { ...config.train, learning_rate: 1e-4, cutoff_len: 512 } };
  const other = adoptable(hostWith("x-1"), { experiment: "x", run: "x-2", config: changed });
  await expect(other).rejects.toThrow(/x-1 is on a fake.*differs in train\.cutoff_len, train\.learning_rate and.*x-2/);
});

it("refuses where only the data's bytes are others", async () => {
  const other = adoptable(hostWith("x-1"), { experiment: "x", run: "x-2", config });
  await expect(other).rejects.toThrow(/trains on other data/);
});

it("judges by the file's text where only a download tells the name", async () => {
  expect((await adoptable(hostWith("x-1"), { experiment: "x", run: undefined, config })).run).toBe("x-1");
  const changed = { ...config, model: { id: "other" } };
  const other = adoptable(hostWith("x-1"), { experiment: "x", run: undefined, config: changed });
  await expect(other).rejects.toThrow(/differs in model and/);
});

it("compares values, not how they were written or kept", () => {
  const kept = { train: { b: 1, a: { y: 2, x: 1 } }, model: { id: "m" }, datasets: [] };
  const now = {
    datasets: [],
    model: { id: "m", revision: undefined },
    train: { a: { x: 1, y: 2 }, b: 1.0, c: undefined },
  };
  expect(changedKeys(kept, now)).toEqual([]);
});
