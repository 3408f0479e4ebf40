import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { homeHere } from "../../../cli/notebook/mounts.ts";
import { decideHome, type Mount } from "../../../cli/notebook/persistent-home.ts";
import { remember } from "../../../cli/notebook/propose.ts";

const disk: Mount = { path: "/mnt/workspace", separate: true, writable: true, ours: false };
const environment = { HOME: "/root" };
const places = { environment, usualExists: false, mounts: [disk] };

test("a disk that outlives the instance is proposed", () => {
  expect(decideHome(places)).toEqual({ kind: "proposal", home: "/mnt/workspace/tuneup", mount: "/mnt/workspace" });
});

test.for([
  ["TUNEUP_HOME is set", { ...places, environment: { HOME: "/root", TUNEUP_HOME: "/data" } }],
  ["there is data in the usual place", { ...places, usualExists: true }],
  ["the usual place has data, and the disk too", { ...places, usualExists: true, mounts: [{ ...disk, ours: true }] }],
  ["the folder is no disk of its own", { ...places, mounts: [{ ...disk, separate: false }] }],
  ["it can't be written", { ...places, mounts: [{ ...disk, writable: false }] }],
  ["the home is on that disk already", { ...places, environment: { HOME: "/mnt/workspace/me" } }],
  ["there is no such disk", { ...places, mounts: [] }],
] as const)("nothing is proposed where %s", ([, facts]) => {
  expect(decideHome(facts)).toEqual({ kind: "usual" });
});

test("what is on the disk is found before another disk is proposed", () => {
  const other: Mount = { path: "/workspace", separate: true, writable: true, ours: true };
  expect(decideHome({ ...places, mounts: [disk, other] })).toEqual({ kind: "found", home: "/workspace/tuneup" });
});

test("a restarted instance, whose home is gone, finds what was accepted on the disk that stayed", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tuneup-notebook-"));
  const mount = join(folder, "mnt");
  await mkdir(mount);
  const first = { HOME: join(folder, "first") };
  // No disk of its own here: it is not proposed, and the user sets TUNEUP_HOME or accepts on one that is.
  expect(homeHere(first, [mount])).toEqual({ kind: "usual" });
  await remember(`${mount}/tuneup`);
  expect(homeHere({ HOME: join(folder, "second") }, [mount])).toEqual({ kind: "found", home: `${mount}/tuneup` });
  await mkdir(`${mount}/tuneup/.git`);
  expect(homeHere({ HOME: join(folder, "third") }, [mount]), "a clone is no data directory").toEqual({ kind: "usual" });
  await rm(folder, { recursive: true });
});

test("who said no is not asked again", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tuneup-notebook-"));
  await remember(join(folder, ".local/share/tuneup"));
  const facts = { environment: { HOME: folder }, usualExists: true, mounts: [disk] };
  expect(decideHome(facts)).toEqual({ kind: "usual" });
  expect(homeHere({ HOME: folder }, ["/dev/shm"])).toEqual({ kind: "usual" });
  await rm(folder, { recursive: true });
});
