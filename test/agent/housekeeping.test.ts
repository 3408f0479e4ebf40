import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { logs, purge, usage } from "../../agent/housekeeping.ts";
import { tryLock } from "../../agent/lock.ts";
import { collect, makeHost, until } from "./runs/harness.ts";

let host: ReturnType<typeof makeHost>;
beforeEach(() => {
  host = makeHost();
});
afterEach(() => host.clean());

const input = (experiment = "mine") => ({ dataDirectory: host.dataDirectory, experiment });

/** A run as it lies on disk, with a dataset of that name. */
function lay(run: string, dataset: string): void {
  const paths = host.paths(run);
  mkdirSync(paths.output, { recursive: true });
  const folder = `${host.layout.datasets}/${dataset}`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/rows.json`, "[]");
  writeFileSync(paths.spec, JSON.stringify(host.spec(run, { arguments: { dataset_dir: folder } })));
  writeFileSync(`${paths.output}/adapter.bin`, "12345");
}

function layEndpoint(experiment: string): void {
  const { directory, key } = host.layout.endpoint(experiment);
  mkdirSync(directory, { recursive: true });
  writeFileSync(key, "secret");
}

describe("usage", () => {
  test("lists what is the experiment's own, then what is shared", async () => {
    lay("mine-1", "a");
    lay("other-1", "b");
    layEndpoint("mine");
    mkdirSync(`${host.layout.models}/small`, { recursive: true });
    writeFileSync(`${host.layout.models}/small/weights`, "123");
    const list = await usage(input(), collect());
    expect(list.map(({ what }) => what)).toEqual(["run mine-1", "endpoint", "dataset a", "weights small (shared)"]);
    expect(list.at(-1)?.bytes).toBe(3);
  });

  test("of an empty data directory is empty", async () => {
    expect(await usage(input(), collect())).toEqual([]);
  });
});

describe("purge", () => {
  test("deletes runs, endpoint and datasets of its own, and nothing else", async () => {
    lay("mine-1", "a");
    lay("mine-2", "shared");
    lay("other-1", "shared");
    layEndpoint("mine");
    layEndpoint("other");
    mkdirSync(`${host.layout.env}/x`, { recursive: true });
    const deleted = await purge(input(), collect());
    expect(deleted.map(({ what }) => what)).toEqual(["run mine-1", "run mine-2", "endpoint", "dataset a"]);
    for (const { path } of deleted) expect(existsSync(path)).toBe(false);
    for (const path of [
      host.paths("other-1").spec,
      host.layout.endpoint("other").key,
      `${host.layout.datasets}/shared/rows.json`,
      `${host.layout.env}/x`,
    ]) {
      expect(existsSync(path)).toBe(true);
    }
    expect(await purge(input(), collect())).toEqual([]);
  });

  test("takes a run with a torn spec by its name, and no experiment whose name only begins so", async () => {
    lay("mine-0123456789ab", "a");
    lay("mine-too-0123456789ab", "b");
    for (const run of ["mine-0123456789ab", "mine-too-0123456789ab"]) writeFileSync(host.paths(run).spec, "{");
    await purge(input(), collect());
    expect(existsSync(host.paths("mine-0123456789ab").directory)).toBe(false);
    expect(existsSync(host.paths("mine-too-0123456789ab").directory)).toBe(true);
  });

  test("never deletes a dataset folder outside of the data directory", async () => {
    lay("mine-1", "a");
    const outside = `${host.dataDirectory}/mine-too`;
    mkdirSync(outside);
    writeFileSync(host.paths().spec, JSON.stringify(host.spec("mine-1", { arguments: { dataset_dir: outside } })));
    await purge(input(), collect());
    expect(existsSync(outside)).toBe(true);
  });

  test("refuses while the run trains, and while the endpoint is alive", async () => {
    host.plan({ hold: 3 });
    await host.runDeclare({ dataDirectory: host.dataDirectory, spec: host.spec() }, collect());
    await host.held();
    await expect(purge(input(), collect())).rejects.toMatchObject({
      code: "in-use",
      next: expect.stringContaining("down") as string,
    });
    expect(existsSync(host.paths().spec)).toBe(true);
    layEndpoint("other");
    const lock = tryLock(host.layout.endpoint("other").lock);
    await expect(purge(input("other"), collect())).rejects.toMatchObject({ code: "in-use" });
    lock?.release();
    await purge(input("other"), collect());
    expect(existsSync(host.layout.endpoint("other").directory)).toBe(false);
  });
});

describe("logs", () => {
  const ask = (more: object = {}) => ({ ...input(), of: "run" as const, follow: false, lines: 2, ...more });

  test("shows the last lines of the newest run", async () => {
    lay("mine-1", "a");
    writeFileSync(host.paths().log, "one\ntwo\nthree");
    const context = collect();
    await logs(ask(), context);
    expect(context.lines).toEqual(["two", "three"]);
  });

  test("says that there is nothing to show", async () => {
    await expect(logs(ask(), collect())).rejects.toMatchObject({ code: "no-logs" });
    await expect(logs(ask({ of: "endpoint" }), collect())).rejects.toMatchObject({ code: "no-logs" });
  });

  test("follows a file from before it is there, over its rotation, until the caller goes away", async () => {
    const abort = new AbortController();
    const context = collect(abort.signal);
    const following = logs(ask({ of: "endpoint", follow: true }), context);
    const { directory, log } = host.layout.endpoint("mine");
    mkdirSync(directory, { recursive: true });
    writeFileSync(log, "one\ntw");
    await until(() => context.lines.length === 1);
    appendFileSync(log, "o\n");
    await until(() => context.lines.length === 2);
    renameSync(log, `${log}.1`);
    writeFileSync(log, "three\n");
    await until(() => context.lines.length === 3);
    expect(context.lines).toEqual(["one", "two", "three"]);
    abort.abort();
    await expect(following).rejects.toThrow();
  });

  test("follows from the last lines on, without losing or repeating the unfinished one", async () => {
    lay("mine-1", "a");
    writeFileSync(host.paths().log, "one\ntwo\nthr");
    const abort = new AbortController();
    const context = collect(abort.signal);
    const following = logs(ask({ follow: true, lines: 1 }), context).catch(() => undefined);
    await until(() => context.lines.length === 1);
    appendFileSync(host.paths().log, "ee\n");
    await until(() => context.lines.length === 2);
    expect(context.lines).toEqual(["two", "three"]);
    abort.abort();
    await following;
    expect(readFileSync(host.paths().log, "utf8")).toContain("three");
  });

  test("goes on where a caller that was cut off ended, and repeats nothing", async () => {
    lay("mine-1", "a");
    writeFileSync(host.paths().log, "one\ntwo\nthr");
    const abort = new AbortController();
    let from: { path: string; bytes: number } | undefined;
    const cutOff = { ...collect(abort.signal), data: (_line: string, at?: typeof from) => void (from = at) };
    const following = logs(ask({ follow: true }), cutOff).catch(() => undefined);
    await until(() => from !== undefined);
    abort.abort();
    await following;
    appendFileSync(host.paths().log, "ee\nfour\n");
    const context = collect();
    await logs(ask({ lines: 0, from }), context);
    expect(context.lines).toEqual(["three", "four"]);
    // Another file, or one that was begun anew, has no such place.
    const anew = collect();
    await logs(ask({ from: { path: host.paths().log, bytes: 1000 } }), anew);
    await logs(ask({ from: { path: "/other", bytes: 4 } }), anew);
    expect(anew.lines).toEqual(["three", "four", "three", "four"]);
  });
});
