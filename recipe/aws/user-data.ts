import { endScripts, type Ends, leaseFile } from "./ends.ts";
import { type ResumePlace, resumePlaceFile } from "../resume-plan.ts";
import { callScript, endScript, type GroupPlace, inGroup, resumeScript, resumeUnit } from "./group-scripts.ts";

/** What a machine is told at its first start. */
export interface MachineStart {
  /** Id of the data volume, such as vol-0a1b2c3d4e5f67890. */
  readonly volumeId: string;
  /** Where the volume is mounted: the data directory. Default: /var/lib/tuneup. */
  readonly mountPoint?: string;
  /** Hours from the first start to the end, whatever happens. */
  readonly leaseHours: number;
  /** When it ends before that (`endsOf`). Default: never. */
  readonly ends?: Ends | undefined;
}

/** User of Ubuntu's images, who may become root without a password, and to whom the data directory belongs. */
export const machineUser = "ubuntu";

const folder = "/usr/local/lib/tuneup";

/** The last step of the first start, as it says it after `tuneup: `. */
export const readyLine = "the machine is ready.";

/**
 * Mounts the data volume, which is formatted if it is blank and never otherwise: blkid finds nothing on it and its first MiB is zero, as EC2 hands
 * out new volumes. What carries anything else, even a torn file system, is left alone with a sentence; the machine goes on without a data directory.
 */
export const mountScript = `#!/bin/sh
# mount-volume DEVICE MOUNT_POINT OWNER. Waits for the device; every step is said, for the console's log.
set -eu
device=$1
point=$2
table=\${TUNEUP_FSTAB:-/etc/fstab}
left=\${TUNEUP_WAIT:-300}
say() { echo "tuneup: $*"; }
refuse() { say "$*" >&2; exit 1; }
while [ ! -e "$device" ]; do
  [ "$left" -gt 0 ] || refuse "the volume is not attached: there is no $device."
  left=$((left - 1))
  sleep 1
done
found=0
signature=$(blkid -p -o export "$device") || found=$?
case $found in
0)
  case "
$signature
" in
  *"
LABEL=tuneup
"*) say "the volume has its file system." ;;
  *) refuse "the volume holds something that tuneup did not make; it is not formatted: $signature" ;;
  esac
  ;;
2)
  [ "$(head -c 1048576 "$device" | tr -d '\\000' | wc -c)" -eq 0 ] ||
    refuse "the volume holds data without a file system; it is not formatted."
  say "the volume is blank and is formatted."
  mkfs.ext4 -q -L tuneup "$device"
  ;;
*) refuse "blkid can't tell what the volume holds (status $found); it is not formatted." ;;
esac
mkdir -p "$point"
grep -qs "^$device " "$table" || echo "$device $point ext4 defaults,nofail,x-systemd.device-timeout=300 0 2" >>"$table"
mountpoint -q "$point" || mount "$point"
# A volume that grew since: its file system grows while it is mounted, and its data is as before.
[ $found -ne 0 ] || resize2fs "$device" >/dev/null 2>&1 || say "the file system could not be grown to its volume; it is used as it is."
chown "$3" "$point"
chmod 700 "$point"
say "the volume is mounted at $point."
`;

/** Ends the machine when its lease is over. The end is written down once, so that a restart is no new lease; on EC2 power off means terminated. */
export const leaseScript = `#!/bin/sh
# lease FILE SECONDS: FILE keeps the second of the end; the first call writes it.
set -eu
file=$1
if [ ! -s "$file" ]; then
  mkdir -p "$(dirname "$file")"
  echo $(($(date +%s) + $2)) >"$file.new"
  mv "$file.new" "$file"
fi
end=$(cat "$file")
case $end in
'' | *[!0-9]*) end=0 ;;
esac
[ "$(date +%s)" -lt "$end" ] || { echo "tuneup: this machine ends: its lease is over."; systemctl poweroff; }
`;

/** A timer that looks once a minute, and what it runs. What is said goes to the console too, where it can be read after the end. */
function units(name: string, what: string, command: string): Readonly<Record<string, string>> {
  return {
    [`/etc/systemd/system/tuneup-${name}.service`]: `[Unit]
Description=Ends this machine when ${what}

[Service]
Type=oneshot
ExecStart=${command}
StandardOutput=journal+console
`,
    [`/etc/systemd/system/tuneup-${name}.timer`]: `[Unit]
Description=Looks once a minute whether ${what}

[Timer]
OnBootSec=0
OnCalendar=minutely

[Install]
WantedBy=timers.target
`,
  };
}

const whats = {
  lease: "tuneup's lease is over",
  "after-idle": "nothing trained or chatted for long",
  "after-training": "the run is complete and fetched",
} as const;

/** Where Linux shows an EBS volume on a machine of the Nitro system, as all GPU machines of the table are. */
export function deviceOf(volumeId: string): string {
  return `/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${volumeId.replace("-", "")}`;
}

/**
 * The user data of the machine, for cloud-init: the lease's timer first, so that a machine whose start fails ends too, then the volume. Throws
 * RangeError for what is no volume's id: it goes into a shell.
 */
export function userData({ volumeId, mountPoint = "/var/lib/tuneup", leaseHours, ends }: MachineStart): string {
  if (!/^vol-[0-9a-f]{8,17}$/.test(volumeId))
    throw new RangeError(`A volume's id is vol- and hexadecimal digits, got ${JSON.stringify(volumeId)}.`);
  if (!/^\/[\w./-]+$/.test(mountPoint))
    throw new RangeError(`A mount point is an absolute path of plain characters, got ${JSON.stringify(mountPoint)}.`);
  const early = ends === undefined ? undefined : endScripts(ends, { folder, data: mountPoint });
  const timers = { lease: `${folder}/lease ${leaseFile} ${Math.round(leaseHours * 3600)}`, ...early?.timers };
  const scripts = { "mount-volume": mountScript, lease: leaseScript, ...early?.scripts };
  const mount = `${folder}/mount-volume ${deviceOf(volumeId)} ${mountPoint} ${machineUser}:`;
  return cloudConfig({ scripts, timers, last: `${mount} && echo "tuneup: ${readyLine}"` });
}

/** What a machine of a group is told at its start, whichever it is. */
export interface GroupStart extends GroupPlace {
  /** The data directory, on its root disk. Default: /var/lib/tuneup. */
  readonly mountPoint?: string;
  /** When every machine of the group ends, in ISO 8601: a machine that comes in place of another has no lease of its own. */
  readonly expiry: string;
  /** As on demand. */
  readonly ends?: Ends | undefined;
  /** Where one machine leaves what the next goes on by (`resumeAddress`). Default: none goes on by itself. */
  readonly resume?: string | undefined;
}

/** The user data of all machines of a group. Throws RangeError for what is no group's name or no time: they go into a shell. */
export function groupUserData(start: GroupStart): string {
  const { group, region, mountPoint = "/var/lib/tuneup", expiry, ends } = start;
  for (const [what, text] of Object.entries({ group, region }))
    if (!/^[\w-]+$/.test(text)) throw new RangeError(`A ${what}'s name is plain here, got ${JSON.stringify(text)}.`);
  const end = Date.parse(expiry) / 1000;
  if (Number.isNaN(end)) throw new RangeError(`The end of a lease is a time, got ${JSON.stringify(expiry)}.`);
  const early = ends === undefined ? undefined : endScripts(ends, { folder, data: mountPoint });
  const timers = { lease: `${folder}/lease ${leaseFile} 0`, ...early?.timers };
  const scripts = {
    ...{ "aws-call": callScript, "end-machine": endScript({ group, region }), lease: inGroup(leaseScript, " now") },
    ...Object.fromEntries(Object.entries(early?.scripts ?? {}).map(([name, script]) => [name, inGroup(script)])),
  };
  const next = resuming(start);
  const made = `mkdir -p ${mountPoint} && chown -R ${machineUser}: ${mountPoint} && chmod 700 ${mountPoint}`;
  const begun = next === undefined ? "" : " && systemctl start --no-block tuneup-resume";
  return cloudConfig({
    ...{ scripts: { ...scripts, ...next?.scripts }, timers, files: { [leaseFile]: `${end}\n`, ...next?.files } },
    last: `${made}${begun} && echo "tuneup: ${readyLine}"`,
  });
}

function resuming({ region, mountPoint = "/var/lib/tuneup", resume: address }: GroupStart) {
  if (address === undefined) return undefined;
  if (!/^s3:\/\/[a-z0-9.-]+\/[\w./ +=@:!~-]+\/$/.test(address) || address.includes("  "))
    throw new RangeError(`What the next machine goes on by is a folder of a bucket, got ${JSON.stringify(address)}.`);
  return {
    scripts: { resume: resumeScript({ region, address, mountPoint, user: machineUser }) },
    files: {
      [resumePlaceFile(mountPoint)]: `${JSON.stringify({ address, region } satisfies ResumePlace)}\n`,
      "/etc/systemd/system/tuneup-resume.service": resumeUnit(folder),
    },
  };
}

interface Start {
  /** By their names. */
  readonly scripts: Readonly<Record<string, string>>;
  /** What a timer runs, by its name. */
  readonly timers: Readonly<Record<string, string>>;
  /** By their paths. */
  readonly files?: Readonly<Record<string, string>>;
  /** The last step, for a shell. */
  readonly last: string;
}

function cloudConfig({ scripts, timers, files = {}, last }: Start): string {
  const file = (permissions: string, path: string, content: string) => ({ path, permissions, content });
  const config = {
    write_files: [
      ...Object.entries(files).map(([path, content]) => file("0644", path, content)),
      ...Object.entries(scripts).map(([name, content]) => file("0755", `${folder}/${name}`, content)),
      ...Object.entries(timers)
        .flatMap(([name, command]) => Object.entries(units(name, whats[name as keyof typeof whats], command)))
        .map(([path, content]) => file("0644", path, content)),
    ],
    runcmd: [
      ["systemctl", "daemon-reload"],
      ...Object.keys(timers).map((name) => ["systemctl", "enable", "--now", `tuneup-${name}.timer`]),
      // Last, since its end is the end of the whole to cloud-init.
      ["sh", "-c", last],
    ],
  };
  // JSON is YAML too, and needs no quoting of ours.
  return `#cloud-config\n${JSON.stringify(config, null, 1)}\n`;
}
