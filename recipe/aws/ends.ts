/** When a machine ends before its lease does. */
export interface Ends {
  /** Once what the run left is whole on the machine of `up`. */
  readonly afterTraining: boolean;
  /** After so many minutes in which nothing trained, nothing was prepared and nobody chatted. */
  readonly idleMinutes: number;
}

/**
 * What `tuneup:teardown` says about a machine's end; undefined where the lease alone ends it. A training that fails, or whose result nobody fetches,
 * leaves the machine idle: so after-training ends it then too, and its volume has what there is.
 */
export function endsOf(when: "keep" | "after-training" | "after-idle", idleMinutes: number): Ends | undefined {
  return when === "keep" ? undefined : { afterTraining: when === "after-training", idleMinutes };
}

/** File in the data directory that says, by its time, when what a run left became whole elsewhere. Its text is the run. */
export const safeMark = "ends/safe";

/** Where the machine keeps what its ends know, on its root disk: another machine with the same volume begins anew. */
export const leaseFile = "/var/lib/tuneup-lease/end";
const seenFile = "/var/lib/tuneup-lease/busy";

/**
 * Says by status 0 that something computes for the data directory: our agent at any of its commands, a supervisor among them, or a trainer that
 * outlived its own. Not the gateway, whose use its log tells, and nobody who only reads a log.
 */
export const busyScript = `#!/bin/sh
# busy DATA
data=$1
for line in "\${TUNEUP_PROC:-/proc}"/[0-9]*/cmdline; do
  words=$({ tr '\\000' ' ' <"$line"; } 2>/dev/null) || continue
  case $words in
  *" $data/agent/"*"/agent.mjs serve "* | *" $data/agent/"*"/agent.mjs logs "*) ;;
  *" $data/agent/"*"/agent.mjs "* | *" $data/runs/"*"/trainer/train"*) exit 0 ;;
  esac
done
exit 1
`;

/** Ends the machine once what the run left is safe and nothing computes. A mark from before this machine's first start is another machine's. */
export const afterTrainingScript = `#!/bin/sh
# after-training DATA BEGUN: BEGUN is a file of this machine's first start.
set -eu
mark=$1/${safeMark}
[ -e "$2" ] && [ -e "$mark" ] && [ "$mark" -nt "$2" ] || exit 0
if "$(dirname "$0")/busy" "$1"; then exit 0; fi
echo "tuneup: this machine ends: run $(head -c 200 "$mark" | tr -dc 'A-Za-z0-9._-') is complete and what it left is fetched."
systemctl poweroff
`;

/** Ends the machine when it was idle for so long: its first start, the last look at which it was busy, and the last chat are what counts. */
export const afterIdleScript = `#!/bin/sh
# after-idle DATA BEGUN SEEN MINUTES: SEEN is touched at each look that finds it busy.
set -eu
[ -e "$2" ] || exit 0
if "$(dirname "$0")/busy" "$1"; then touch "$3"; exit 0; fi
last=0
later() { if [ "$1" -gt "$last" ]; then last=$1; fi; }
for file in "$2" "$3"; do
  if [ -e "$file" ]; then later "$(stat -c %Y "$file")"; fi
done
for log in "$1"/endpoints/*/gateway.log "$1"/endpoints/*/gateway.log.1; do
  [ -e "$log" ] || continue
  at=$(tail -c 1000000 "$log" | grep -a ' POST /' | tail -n 1 | cut -d ' ' -f 1) || continue
  at=$(date -d "$at" +%s 2>/dev/null) || continue
  later "$at"
done
[ $(($(date +%s) - last)) -ge $(($4 * 60)) ] || exit 0
echo "tuneup: this machine ends: nothing trained and nobody chatted for $4 minutes."
systemctl poweroff
`;

/** Scripts by name, and what of them a timer runs. `folder`: where they lie. */
export function endScripts(
  { afterTraining, idleMinutes }: Ends,
  { folder, data }: { readonly folder: string; readonly data: string },
) {
  const idle = `${folder}/after-idle ${data} ${leaseFile} ${seenFile} ${idleMinutes}`;
  const training = `${folder}/after-training ${data} ${leaseFile}`;
  return {
    scripts: {
      busy: busyScript,
      "after-idle": afterIdleScript,
      ...(afterTraining ? { "after-training": afterTrainingScript } : {}),
    },
    timers: { "after-idle": idle, ...(afterTraining ? { "after-training": training } : {}) },
  };
}
