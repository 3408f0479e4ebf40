import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, open, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { deviceOf, leaseScript, mountScript, userData } from "../../../recipe/aws/user-data.ts";

let folder: string;
let device: string;

/** A program that writes its arguments down and does nothing. */
async function standIn(name: string, status = 0): Promise<void> {
  const path = join(folder, "bin", name);
  await writeFile(path, `#!/bin/sh\necho "${name} $*" >>"${folder}/done"\nexit ${String(status)}\n`);
  await chmod(path, 0o755);
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tuneup-user-data-"));
  device = join(folder, "volume");
  await mkdir(join(folder, "bin"));
  // Mounting needs root, and power off would be kept in mind.
  await Promise.all([standIn("mount"), standIn("mountpoint", 1), standIn("systemctl"), standIn("chown")]);
  // It writes the time into the head of the file system, also where nothing grows.
  await standIn("resize2fs");
  await writeFile(join(folder, "mount-volume"), mountScript);
  await writeFile(join(folder, "lease"), leaseScript);
});
afterEach(() => rm(folder, { recursive: true }));

/** A volume as EC2 hands it out: nothing but zeros. */
async function blank(): Promise<void> {
  const file = await open(device, "w");
  await file.truncate(64 * 2 ** 20);
  await file.close();
}

const run = (script: string, words: readonly string[], more: Readonly<Record<string, string>> = {}) =>
  execa("sh", [join(folder, script), ...words], {
    env: {
      PATH: `${folder}/bin:${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`,
      TUNEUP_FSTAB: `${folder}/fstab`,
      ...more,
    },
    all: true,
    reject: false,
  });
const mount = (more: Readonly<Record<string, string>> = {}) =>
  run("mount-volume", [device, join(folder, "data"), "ubuntu:"], more);
const digest = async (): Promise<string> =>
  createHash("sha256")
    .update(await readFile(device))
    .digest("hex");
const done = async (): Promise<string[]> =>
  (await readFile(join(folder, "done"), "utf8").catch(() => "")).split("\n").filter((line) => line !== "");

// Debian has them here; macOS has none.
const tools = existsSync("/usr/sbin/mkfs.ext4") && existsSync("/usr/sbin/blkid");

describe.skipIf(!tools)("mount-volume", () => {
  it("formats a blank volume once; the next machine finds the same bytes", async () => {
    await blank();
    const first = await mount();
    expect(first.all).toMatch(/is blank and is formatted\.\n.*is mounted at/);
    expect(first.exitCode).toBe(0);
    const formatted = await digest();
    const second = await mount();
    expect(second.all).toMatch(/has its file system\.\n.*is mounted at/);
    expect(await digest()).toBe(formatted);
    expect((await readFile(join(folder, "fstab"), "utf8")).trimEnd().split("\n")).toEqual([
      `${device} ${folder}/data ext4 defaults,nofail,x-systemd.device-timeout=300 0 2`,
    ]);
    expect((await done()).filter((line) => line.startsWith("mount "))).toHaveLength(2);
    expect(await done()).toContain(`chown ubuntu: ${folder}/data`);
  });

  it("grows the file system of a volume that grew, and keeps what is in it", async () => {
    await blank();
    await rm(join(folder, "bin/resize2fs"));
    await mount();
    const blocks = async () => {
      const { stdout } = await execa("/usr/sbin/dumpe2fs", ["-h", device]);
      return Number(/^Block count:\s+(\d+)$/m.exec(stdout)?.[1]) * Number(/^Block size:\s+(\d+)$/m.exec(stdout)?.[1]);
    };
    expect(await blocks()).toBe(64 * 2 ** 20);
    await truncate(device, 96 * 2 ** 20);
    const { all, exitCode } = await mount();
    expect(all).not.toMatch(/could not be grown/);
    expect([exitCode, await blocks()]).toEqual([0, 96 * 2 ** 20]);
  });

  it("goes on with a file system that can't be grown, and says so", async () => {
    await blank();
    await mount();
    await standIn("resize2fs", 1);
    const { all, exitCode } = await mount();
    expect(all).toMatch(/could not be grown to its volume; it is used as it is\.\n.*is mounted at/);
    expect(exitCode).toBe(0);
  });

  it.each<[string, () => Promise<unknown>, RegExp]>([
    [
      "another's file system",
      () => execa("/usr/sbin/mkfs.ext4", ["-q", "-L", "others", device]),
      /did not make.*LABEL=others/s,
    ],
    ["a file system without a name", () => execa("/usr/sbin/mkfs.ext4", ["-q", device]), /did not make/],
    ["data without a file system", () => write("\n", 70_000), /holds data without a file system/],
    ["a torn file system", tear, /holds data without a file system|did not make/],
  ])("never formats %s", async (_what, fill, sentence) => {
    await blank();
    await fill();
    const before = await digest();
    const { all, exitCode } = await mount();
    expect(all).toMatch(sentence);
    expect(exitCode).toBe(1);
    expect(await digest()).toBe(before);
    expect(await done()).toEqual([]);
  });

  it("does not format where blkid fails", async () => {
    await blank();
    await standIn("blkid", 4);
    const before = await digest();
    const { all, exitCode } = await mount();
    expect(all).toMatch(/blkid can't tell what the volume holds \(status 4\)/);
    expect([exitCode, await digest()]).toEqual([1, before]);
  });

  it("says that the volume is not attached", async () => {
    const { all, exitCode } = await mount({ TUNEUP_WAIT: "0" });
    expect(all).toBe(`tuneup: the volume is not attached: there is no ${device}.`);
    expect(exitCode).toBe(1);
  });
});

async function write(text: string, place: number): Promise<void> {
  const file = await open(device, "r+");
  await file.write(text, place);
  await file.close();
}

/** Its superblock is gone, as after a disk's fault: inodes and data are still there. */
async function tear(): Promise<void> {
  await execa("/usr/sbin/mkfs.ext4", ["-q", "-L", "tuneup", device]);
  await write("\0".repeat(4096), 0);
}

describe("lease", () => {
  const end = (): string => join(folder, "lease-end", "end");
  const lease = (seconds: number) => run("lease", [end(), String(seconds)]);

  it("writes the end once: a restart is no new lease", async () => {
    expect((await lease(3600)).exitCode).toBe(0);
    const first = await readFile(end(), "utf8");
    expect(Number(first) - Date.now() / 1000).toBeGreaterThan(3000);
    await lease(999_999);
    expect(await readFile(end(), "utf8")).toBe(first);
    expect(await done()).toEqual([]);
  });

  it.each(["1000", "not a time", " "])("ends the machine when the end that is written is %j", async (text) => {
    await mkdir(join(folder, "lease-end"));
    await writeFile(end(), text);
    const { all } = await lease(3600);
    expect(all).toBe("tuneup: this machine ends: its lease is over.");
    expect(await done()).toEqual(["systemctl poweroff"]);
  });
});

interface CloudConfig {
  readonly write_files: readonly { readonly path: string; readonly permissions: string; readonly content: string }[];
  readonly runcmd: readonly (readonly string[])[];
}

const configIn = (text: string): CloudConfig => JSON.parse(text.replace(/^#cloud-config\n/, "")) as CloudConfig;

describe("userData", () => {
  const text = userData({ volumeId: "vol-0a1b2c3d4e5f67890", leaseHours: 1.5 });
  const config = configIn(text);
  const early = userData({
    volumeId: "vol-0a1b2c3d4e5f67890",
    leaseHours: 1.5,
    ends: { afterTraining: true, idleMinutes: 30 },
  });

  it("is a cloud-config that starts the lease before anything can fail", () => {
    expect(text).toMatch(/^#cloud-config\n/);
    const device = deviceOf("vol-0a1b2c3d4e5f67890");
    expect(config.runcmd).toEqual([
      ["systemctl", "daemon-reload"],
      ["systemctl", "enable", "--now", "tuneup-lease.timer"],
      [
        "sh",
        "-c",
        `/usr/local/lib/tuneup/mount-volume ${device} /var/lib/tuneup ubuntu: && echo "tuneup: the machine is ready."`,
      ],
    ]);
    expect(deviceOf("vol-0a1b2c3d4e5f67890")).toMatch(/\/nvme-Amazon_Elastic_Block_Store_vol0a1b2c3d4e5f67890$/);
  });

  it.each([text, early])("writes every file that it names, programs as such, within EC2's 16 KiB", (whole) => {
    const { write_files: files, runcmd } = configIn(whole);
    const written = Object.fromEntries(files.map(({ path, ...file }) => [path, file]));
    const timers = runcmd.flatMap((words) => (words[1] === "enable" ? [words[3] ?? ""] : []));
    for (const timer of timers) {
      expect(written[`/etc/systemd/system/${timer}`]?.permissions).toBe("0644");
      const service = written[`/etc/systemd/system/${timer.replace(".timer", ".service")}`]!.content;
      expect(service).toContain("StandardOutput=journal+console\n");
      const [program = ""] = /^ExecStart=(\S+) /m.exec(service)!.slice(1);
      expect(written[program]?.permissions).toBe("0755");
    }
    expect(files.filter(({ path }) => path.endsWith(".timer"))).toHaveLength(timers.length);
    expect(written["/etc/systemd/system/tuneup-lease.service"]?.content).toContain(" 5400\n");
    expect(written["/usr/local/lib/tuneup/mount-volume"]?.permissions).toBe("0755");
    expect(Buffer.byteLength(whole)).toBeLessThan(16_384);
  });

  it("looks for an early end where one is asked for, with the data directory that is mounted", () => {
    const commands = configIn(early).write_files.flatMap(({ content }) => /^ExecStart=(.*)$/m.exec(content)?.[1] ?? []);
    expect(commands).toEqual([
      "/usr/local/lib/tuneup/lease /var/lib/tuneup-lease/end 5400",
      "/usr/local/lib/tuneup/after-idle /var/lib/tuneup /var/lib/tuneup-lease/end /var/lib/tuneup-lease/busy 30",
      "/usr/local/lib/tuneup/after-training /var/lib/tuneup /var/lib/tuneup-lease/end",
    ]);
    expect(configIn(early).write_files.map(({ path }) => path)).toContain("/usr/local/lib/tuneup/busy");
  });

  it("takes nothing for an id or a path that a shell could take for something else", () => {
    expect(() => userData({ volumeId: "vol-1; reboot", leaseHours: 1 })).toThrow(/got "vol-1; reboot"/);
    const elsewhere = { volumeId: "vol-0a1b2c3d4e5f67890", mountPoint: "/data $(reboot)", leaseHours: 1 };
    expect(() => userData(elsewhere)).toThrow(/got "\/data \$\(reboot\)"/);
  });
});
