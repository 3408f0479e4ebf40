import { parse } from "yaml";

/** Stand-ins for what a machine of EC2 has and a namespace has not, by their names in /usr/local/bin. `folder`: the rig's, the same in and out. */
export function guestPrograms(folder: string): Readonly<Record<string, string>> {
  return {
    // Units are started by their ExecStart; a timer's service once now, and again whenever the test lets time pass.
    systemctl: `#!/bin/bash
echo "systemctl $*" >>/run/systemctl.log
[ ! -e /run/variables ] || . /run/variables
start() {
  case $1 in *.*) ;; *) set -- "$1.service" ;; esac
  unit=/etc/systemd/system/$1
  [ -f "$unit" ] || { echo "Failed to start $1: Unit $1 not found." >&2; return 5; }
  case $1 in
  *.timer) touch "/run/timers-$1"; start "\${1%.timer}.service" ;;
  *)
    set -o pipefail
    sed -n 's/^ExecStart=//p' "$unit" | while read -r line; do
      if grep -q '^StandardOutput=journal+console' "$unit"; then bash -c "$line" | tee -a /run/console || return $?
      else bash -c "$line" || return $?; fi
    done
    ;;
  esac
}
case $1 in
poweroff | halt) touch '${folder}/poweroff' ;;
start | restart)
  shift
  background=
  for unit in "$@"; do
    case $unit in
    --no-block) background=yes ;;
    -*) ;;
    *)
      [ -n "$background" ] || { start "$unit" || exit; continue; }
      mark=/run/activating-\${unit%.service}
      touch "$mark"
      { start "$unit"; rm "$mark"; } </dev/null >/dev/null 2>&1 &
      ;;
    esac
  done
  ;;
show) unit=\${*: -1}; if [ -e "/run/activating-\${unit%.service}" ]; then echo activating; else echo inactive; fi ;;
enable) shift; [ "$1" = --now ] || exit 0; shift; for unit in "$@"; do start "$unit" || exit; done ;;
esac
exit 0
`,
    // What fstab has for the point: the volume's files, if its device is formatted. All else is the real one's.
    mount: `#!/bin/bash
[ $# -eq 1 ] || exec /usr/bin/mount "$@"
device=$(awk -v point="$1" '$2 == point { print $1 }' /etc/fstab)
volume=$(dirname "$(readlink -f "$device")")
blkid -p "$volume/device" >/dev/null || { echo "mount: $1: wrong fs type, bad superblock on $device." >&2; exit 32; }
exec /usr/bin/mount --rbind "$volume/files" "$1"
`,
    // What is below env is shown read-only, and the user's already.
    chown: `#!/bin/bash
[ "$1" = -R ] || exec /usr/bin/chown "$@"
exec find "$3" -path "$3/env" -prune -o -exec /usr/bin/chown -h "$2" {} +
`,
    date: `#!/bin/bash
later=$(cat /run/later 2>/dev/null || echo 0)
[ "$later" = 0 ] && exec /usr/bin/date "$@"
exec /usr/bin/date -d "@$(($(/usr/bin/date +%s) + later))" "$@"
`,
    "cloud-init": `#!/bin/bash
[ "$1" = status ] && echo "status: $(cat /run/cloud-init-status 2>/dev/null || echo 'not run')"
exit 0
`,
    sudo: `#!/bin/bash
echo "sudo: the stand-in lets nobody become root" >&2
exit 1
`,
  };
}

/** Bash for root inside, before sshd: folders of the machine's own over this machine's, and the stand-ins. */
export function guestScript(folder: string): string {
  const programs = Object.entries(guestPrograms(folder)).map(
    ([name, text]) => `echo ${encoded(text)} | base64 -d >/usr/local/bin/${name}; chmod 0755 /usr/local/bin/${name}`,
  );
  // The users' files are mounted in /etc already, and an overlay would hide them.
  const overlays = ["/usr/local", "/var/lib", "/etc/systemd"].map((path) => {
    const own = `'${folder}/over${path.replaceAll("/", "-")}'`;
    return `mkdir -p ${own}/upper ${own}/work
mount -t overlay tuneup-rig -o lowerdir=${path},upperdir=${own}/upper,workdir=${own}/work ${path}`;
  });
  return [
    "set -e",
    ...overlays,
    `touch '${folder}/fstab'; mount --bind '${folder}/fstab' /etc/fstab`,
    "mkdir -p /etc/systemd/system /dev/disk; mount -t tmpfs tuneup-rig /dev/disk; mkdir -p /dev/disk/by-id",
    ...programs,
  ].join("\n");
}

interface CloudConfig {
  readonly write_files?: readonly { readonly path: string; readonly permissions: string; readonly content: string }[];
  readonly runcmd?: readonly (string | readonly string[])[];
}

/** What cloud-init makes of user data, as a script for root: files, then commands one after the other; its outcome is the last one's. */
export function firstStart(userData: string): string {
  if (!userData.startsWith("#cloud-config\n")) throw new Error(`No cloud-config: ${userData.slice(0, 60)}`);
  const config = parse(userData) as CloudConfig;
  const files = (config.write_files ?? []).map(
    ({ path, permissions, content }) =>
      `mkdir -p "$(dirname ${quoted(path)})"; echo ${encoded(content)} | base64 -d >${quoted(path)}; chmod ${permissions} ${quoted(path)}`,
  );
  const commands = (config.runcmd ?? []).map((command) =>
    typeof command === "string" ? command : command.map(quoted).join(" "),
  );
  const log = "/var/log/cloud-init-output.log";
  return `echo running >/run/cloud-init-status
{ export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
${files.join("\n")}
sh -s <<'END_OF_COMMANDS'
${commands.join("\n")}
END_OF_COMMANDS
outcome=$?; } >>${log} 2>&1 </dev/null
chmod 644 ${log}
if [ $outcome -eq 0 ]; then echo done; else echo error; fi >/run/cloud-init-status
`;
}

function encoded(text: string): string {
  return Buffer.from(text).toString("base64");
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
