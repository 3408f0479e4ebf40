import { Fault } from "../recipe/fault.ts";

/** ssh's own exit code where it, and not the command there, failed. */
export const sshFailed = 255;

/** What ssh said of its failure, as a Fault. Those of `blame: "user"` are not worth another try. `command`: how a person reaches the host. */
export function sshFault(address: string, command: string, stderr: string, fingerprint?: string): Fault {
  const shown = fingerprint === undefined ? "" : ` It shows ${fingerprint}.`;
  if (/REMOTE HOST IDENTIFICATION HAS CHANGED/.test(stderr)) {
    return new Fault({
      code: "ssh-hostkey-changed",
      property: "compute.host",
      message: `${address} shows another host key than the one in known_hosts.${shown} Somebody may be in between, or the machine was set up anew.`,
      next: `Compare it with what its owner says. If it is right: \`ssh-keygen -R ${hostIn(stderr) ?? address}\`, then \`${command} true\` and answer yes.`,
    });
  }
  if (/Host key verification failed|host key is known for/.test(stderr)) {
    return new Fault({
      code: "ssh-hostkey-unknown",
      property: "compute.host",
      message: `The host key of ${address} is not in known_hosts.${shown}`,
      next: `Compare it with what its owner says, then accept it: \`${command} true\` and answer yes.`,
    });
  }
  if (/Permission denied \(|Too many authentication failures|no mutual signature/.test(stderr)) {
    return new Fault({
      code: "ssh-auth",
      property: "compute.host",
      message: `${address} lets none of your keys in: ${withStop(lastLine(stderr))}`,
      next: `Make \`${command} true\` work without a question: name the key (compute.identity), the user (compute.user), or add the key to ssh-agent.`,
    });
  }
  const isName = /Could not resolve hostname|Name or service not known/.test(stderr);
  return new Fault({
    code: "ssh-unreachable",
    property: "compute.host",
    message: `${address} can't be reached: ${withStop(lastLine(stderr) || "ssh gave no reason")}`,
    next: isName
      ? "compute.host takes any name that `ssh NAME` takes: a Host of your ssh config, or a machine's name or address."
      : `Try \`${command} true\`. What runs on the host is not touched; run this again when it answers.`,
    blame: "infrastructure",
  });
}

/** Is it worth trying again? A key that is refused stays refused. */
export function isPassing(fault: Fault): boolean {
  return fault.code === "ssh-unreachable";
}

/** What there is no ssh for. */
export function sshMissing(): Fault {
  return new Fault({
    code: "ssh-missing",
    message: "OpenSSH's `ssh` is not on PATH.",
    next: "Install it (Debian, Ubuntu: `apt install openssh-client`).",
    blame: "infrastructure",
  });
}

/** `ED25519 SHA256:...` as `ssh -v` tells it of the host itself, behind all jump hosts. */
export function fingerprintIn(verbose: string): string | undefined {
  const [, kind = "", digest = ""] = [...verbose.matchAll(/Server host key: (\S+) (SHA256:\S+)/g)].at(-1) ?? [];
  return digest === "" ? undefined : `${kind} ${digest}`;
}

/** The name under which known_hosts has the key: with a port it is `[host]:port`. */
function hostIn(stderr: string): string | undefined {
  return /ssh-keygen -f .* -R "?([^"\s]+)"?/.exec(stderr)?.[1];
}

/** What ssh says ends with a full stop only at times. */
function withStop(sentence: string): string {
  return sentence.endsWith(".") ? sentence : `${sentence}.`;
}

/** The last that ssh said for people. */
export function lastLine(stderr: string): string {
  const lines = stderr.split(/[\r\n]+/).filter((line) => line.trim() !== "" && !/^(debug|Warning: Perm)/.test(line));
  return (lines.at(-1) ?? "").trim();
}
