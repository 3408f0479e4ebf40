import { existsSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";
import { until } from "../../agent/runs/harness.ts";
import { needsRoot } from "./needs-root.ts";
import { openRig, type Rig } from "./rig.ts";

/** The rig does what it says: what the tests over ssh rest on. */
let rig: Rig;

needsRoot(
  async () => {
    rig = await openRig({ disks: { runs: 4 }, variables: { TUNEUP_RUN_BACKOFF_MS: "100" } });
  },
  () => rig.remove(),
);

test("plain ssh logs in as another user, in another network, with the environment's Python there", async () => {
  expect(await rig.ssh("id -un; echo $HOME; echo $TUNEUP_RUN_BACKOFF_MS")).toBe(`${rig.user}\n${rig.home}\n100`);
  expect(await rig.ssh("touch /tmp/mine; ls /tmp")).toBe("mine");
  expect(existsSync("/tmp/mine")).toBe(false);
  expect(
    await rig.ssh("python=$(echo ~/.local/share/tuneup/env/*/bin/python); $python -c 'import yaml; print(yaml)'"),
  ).toContain("site-packages");
  await expect(rig.ssh("touch $(echo ~/.local/share/tuneup/env/*)/lib/x")).rejects.toThrow(
    /Read-only|Permission denied/,
  );
});

test("a cut wire drops what is on it, and a healed one goes on", async () => {
  const talk = execa("ssh", [rig.alias, "while sleep 0.1; do echo tick; done"], {
    env: rig.environment,
    reject: false,
  });
  let ticks = 0;
  talk.stdout.on("data", () => (ticks += 1));
  await until(() => ticks > 0);
  await rig.wire.cut();
  await until(async () => (await rig.wire.dropped()) > 3);
  expect(await rig.wire.open(300)).toBe(false);
  const before = ticks;
  await rig.wire.heal();
  await until(() => ticks > before);
  await rig.wire.refuse();
  expect(await rig.wire.open()).toBe(false);
  const between = ticks;
  await until(() => ticks > between);
  await rig.wire.heal();
  expect(await rig.wire.connections()).toBe(1);
  expect((await rig.processes()).map(({ words }) => words).join("\n")).toContain("echo tick");

  await rig.reboot();
  expect((await talk).exitCode).toBe(255);
  expect(await rig.processes()).toEqual([]);
  expect(await rig.ssh("ls /tmp")).toBe("");
  expect(await rig.listening()).toEqual([]);
});

test("a slow wire is slow", async () => {
  await rig.wire.slow(2000);
  const start = await rig.wire.received();
  const load = execa("ssh", [rig.alias, "head -c 30000000 /dev/zero"], { env: rig.environment, reject: false });
  await until(async () => (await rig.wire.received()) - start > 100_000);
  load.kill("SIGKILL");
  expect((await load).stdout.length).toBeLessThan(30_000_000);
  await rig.wire.heal();
});

test("another host key and a refused key are told by ssh", async () => {
  const before = await rig.server.fingerprint();
  expect(await rig.server.changeHostKey()).not.toBe(before);
  await expect(rig.ssh("true")).rejects.toThrow(/REMOTE HOST IDENTIFICATION HAS CHANGED/);
  await rig.server.acceptHostKey();
  await rig.server.refuseKey();
  await expect(rig.ssh("true")).rejects.toThrow(/Permission denied \(publickey\)/);
  await rig.server.acceptKey();
  await rig.ssh("true");
});

test("a disk is full, and has room after it was made larger", async () => {
  await expect(rig.ssh("head -c 8000000 /dev/zero >~/.local/share/tuneup/runs/x")).rejects.toThrow(/No space left/);
  await rig.resize("runs", 16);
  await rig.ssh("head -c 8000000 /dev/zero >~/.local/share/tuneup/runs/x");
  expect(existsSync(join(rig.data, "runs/x"))).toBe(true);
});
