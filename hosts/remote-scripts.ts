import { quoted } from "./shell-words.ts";

/** Folder of our Node in the data directory's tools/. */
export const nodeFolder = "node-24";

/** First words on a host: who and where it is, and what of ours is there, also in a Pod's image. A line each, `name value`. */
export function helloScript(dataDirectory: string, agent: string): string {
  return `umask 077
data=${quoted(dataDirectory)}
case $data in "~/"*) data=$HOME/\${data#"~/"} ;; esac
echo "tuneup hello"
echo "home $HOME"
echo "data $data"
echo "system $(uname -s)"
echo "machine $(uname -m)"
echo "libc $(getconf GNU_LIBC_VERSION 2>/dev/null || ldd --version 2>&1 | head -n 1)"
node=$data/tools/${nodeFolder}/bin/node
if [ -x "$node" ]; then echo "node $node"; else
  found=$(command -v node || true)
  if [ -n "$found" ]; then echo "node-found $found"; echo "node-version $("$found" --version 2>/dev/null)"; fi
fi
if [ -d "$data/agent" ]; then echo "known yes"; fi
for folder in "$data" \${TUNEUP_IMAGE:+"$TUNEUP_IMAGE"}; do
  if [ -f "$folder/agent/${agent}/agent.mjs" ]; then echo "agent $folder/agent/${agent}/agent.mjs"; break; fi
done
echo "tuneup end"
`;
}

/** Addresses that the host's ways out are tried with. */
export interface Hubs {
  readonly pypi: string;
  readonly huggingface: string;
  readonly modelscope: string;
}

/**
 * What a host without our agent tells of itself, in one round trip: a line each, `name value`. `port`: is it taken?
 * Addresses may hold a password, so they come on stdin with the script, never in argv there: curl reads them from a file descriptor.
 */
export function surveyScript(dataDirectory: string, hubs: Hubs | undefined, port: number | undefined): string {
  const asked = Object.entries(hubs ?? {}).map(([name, url]: [string, string]) => `reach ${name} ${quoted(url)} &`);
  return `umask 077
data=${quoted(dataDirectory)}
reach() {
  if command -v curl >/dev/null 2>&1; then
    printf 'url = "%s"\\n' "$2" | curl -s -o /dev/null --max-time 5 -I -K - && echo "reach-$1 yes" || echo "reach-$1 no"
  elif python3 -c '' >/dev/null 2>&1; then
    printf '%s' "$2" | python3 -c 'import sys,urllib.request as r;r.urlopen(r.Request(sys.stdin.read(),method="HEAD"),timeout=5)' >/dev/null 2>&1 && echo "reach-$1 yes" || echo "reach-$1 no"
  else echo "reach-$1 no"; fi
}
echo "tuneup survey"
${asked.join("\n")}
echo "clock $(date +%s)"
echo "cores $(getconf _NPROCESSORS_ONLN)"
echo "libc $(getconf GNU_LIBC_VERSION 2>/dev/null || ldd --version 2>&1 | head -n 1)"
sed -n 's/^\\(MemTotal\\|MemAvailable\\): *\\([0-9]*\\) kB/\\1 \\2/p' /proc/meminfo
folder=$data
while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
echo "disk $(df -Pk "$folder" | tail -n 1 | tr -s ' ' | cut -d ' ' -f 4)"
if ! [ -w "$folder" ]; then echo "unwritable $folder"; fi
for name in python3.13 python3.12 python3.11 python3; do
  path=$(command -v $name) || continue
  echo "python $("$path" -I -S -c 'import sys; print(".".join(map(str, sys.version_info[:3])), sys.executable)' 2>/dev/null)"
done
if command -v nvidia-smi >/dev/null 2>&1; then
  limit=$(command -v timeout >/dev/null 2>&1 && echo "timeout 30")
  listed=$($limit nvidia-smi --query-gpu=index,uuid,name,memory.total,driver_version --format=csv,noheader,nounits </dev/null 2>&1)
  ended=$?
  if [ $ended = 0 ]; then sed 's/^/gpu /' <<<"$listed"
  elif [ $ended = 124 ]; then echo "gpu-failure it did not answer within 30 s"
  else echo "gpu-failure $(grep -m 1 . <<<"$listed" || echo "it ended with $ended")"; fi
fi
ls /proc/driver/nvidia/gpus 2>/dev/null | sed 's/^/gpu-hardware /'
for vendor in $(grep -ls 0x10de /sys/bus/pci/devices/*/vendor); do
  device=\${vendor%/vendor}
  if grep -qs ^0x03 "$device/class"; then echo "gpu-hardware \${device##*/}"; fi
done
if [ -z "\${CUDA_VISIBLE_DEVICES-all}" ] || [ "\${CUDA_VISIBLE_DEVICES-all}" = -1 ]; then echo "gpu-hidden yes"; fi
${port === undefined ? "" : `if (exec 3<>/dev/tcp/127.0.0.1/${port}) 2>/dev/null; then echo "port taken"; else echo "port free"; fi`}
wait
echo "tuneup end"
`;
}

/** Stores stdin as a file that is whole, with these bytes, or not there. */
export function storeScript(target: string, sha256: string, mode: "600" | "700", unpack: boolean): string {
  return [
    "set -e; umask 077",
    `target=${quoted(target)}; part=$target.$$.part`,
    'mkdir -p "$(dirname "$target")"',
    "trap 'rm -f \"$part\"' EXIT",
    `${unpack ? "gzip -dc" : "cat"} >"$part"`,
    `if [ "$(sha256sum "$part" | cut -c 1-64)" != ${sha256} ]; then echo "other bytes arrived" >&2; exit 3; fi`,
    `chmod ${mode} "$part"`,
    'mv "$part" "$target"',
  ].join("; ");
}
