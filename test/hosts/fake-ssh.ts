import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { vi } from "vitest";

/** An `ssh` first on PATH that runs the command on this machine, in a home of its own. */
export interface FakeSsh {
  /** Home of the user there. */
  readonly home: string;
  /** Folder of programs that the host has of its own, first on its PATH. */
  readonly own: string;
  /** The options and commands it was called with, a line each. */
  calls(): Promise<string[]>;
  /** From now on every connection fails, and ssh says this. */
  refuse(words: string): Promise<void>;
  /** Connections are let in again. */
  admit(): Promise<void>;
  /** The next command that carries files gets so many bytes of its stdin, then the connection is lost. */
  cutAfter(bytes: number): Promise<void>;
  /** From now on every command that carries files ends with exit code 1 before it took or gave a byte. */
  breakTransfers(): Promise<void>;
  remove(): Promise<void>;
}

const program = `#!/bin/bash
all="$*"
while [[ $1 == -* ]]; do
  case $1 in
    -O) [ -e "$FAKE_SSH/master" ] && { [ "$2" = stop ] && rm "$FAKE_SSH/master"; exit 0; }; exit 255 ;;
    -o | -l | -p | -i | -J | -L) shift 2 ;;
    *) shift ;;
  esac
done
shift
printf '%s\\n' "$all" >>"$FAKE_SSH/calls"
if [ -e "$FAKE_SSH/refusal" ]; then cat "$FAKE_SSH/refusal" >&2; exit 255; fi
if [ "$*" = true ]; then touch "$FAKE_SSH/master"; exit 0; fi
if [[ $* == *" receive" || $* == *" send" ]] && [ -e "$FAKE_SSH/broken" ]; then echo Killed >&2; exit 1; fi
if [[ $* == *" receive" ]] && mv "$FAKE_SSH/limit" "$FAKE_SSH/limited" 2>/dev/null; then
  head -c "$(cat "$FAKE_SSH/limited")" | env -i HOME="$FAKE_SSH/home" PATH="$FAKE_SSH/own:/usr/local/bin:/usr/bin:/bin" bash -c "$*"
  echo "client_loop: send disconnect: Broken pipe" >&2
  exit 255
fi
exec env -i HOME="$FAKE_SSH/home" PATH="$FAKE_SSH/own:/usr/local/bin:/usr/bin:/bin" bash -c "$*"
`;

/** Puts it in place for this test's process; `remove` takes it away again. */
export async function fakeSsh(): Promise<FakeSsh> {
  const folder = await mkdtemp(join(tmpdir(), "tuneup-ssh-"));
  const home = join(folder, "home");
  await mkdir(join(folder, "bin"));
  const own = join(folder, "own");
  await mkdir(home);
  await mkdir(own);
  await writeFile(join(folder, "bin/ssh"), program);
  await chmod(join(folder, "bin/ssh"), 0o755);
  vi.stubEnv("PATH", `${folder}/bin:${process.env["PATH"] ?? ""}`);
  vi.stubEnv("FAKE_SSH", folder);
  return {
    ...{ home, own },
    calls: async () => (await readFile(join(folder, "calls"), "utf8").catch(() => "")).split("\n").filter(Boolean),
    refuse: (words) => writeFile(join(folder, "refusal"), `${words}\n`),
    admit: () => rm(join(folder, "refusal"), { force: true }),
    cutAfter: (bytes) => writeFile(join(folder, "limit"), String(bytes)),
    breakTransfers: () => writeFile(join(folder, "broken"), ""),
    remove: async () => {
      vi.unstubAllEnvs();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
