import { execFileSync } from "node:child_process";
import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { quoted } from "../../hosts/shell-words.ts";
import { controlSocket, reachWords, sshTiming } from "../../hosts/ssh-options.ts";

const spec = { kind: "ssh", address: "gpu", dataDirectory: "~/data" } as const;

describe("quoted", () => {
  it.each(["plain", "/a b/c", "it's", "$HOME", "a;b", "~/x", "*", "é", ""])("%j is one word of a shell", (word) => {
    expect(execFileSync("sh", ["-c", `printf %s ${quoted(word) || "''"}`]).toString()).toBe(word);
  });
});

describe("controlSocket", () => {
  it("is one for a way to a host, whatever lies there, and short enough for the kernel", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tuneup-run-"));
    const at = (changes: object) => controlSocket({ ...spec, ...changes }, { XDG_RUNTIME_DIR: folder });
    expect(at({ dataDirectory: "/other", offline: true })).toBe(at({}));
    expect(at({ port: 2222 })).not.toBe(at({}));
    expect(at({}).length).toBeLessThan(107 - 17);
    const [own = ""] = await readdir(folder);
    await chmod(join(folder, own), 0o755);
    expect(() => at({})).toThrow(/is not yours alone/);
    await rm(folder, { recursive: true });
  });
});

describe("reachWords", () => {
  it("names what the experiment says and leaves the rest to the ssh config", () => {
    const timing = sshTiming({});
    const words = reachWords({ ...spec, user: "me", port: 2222, identity: "/k", jump: "bastion" }, timing);
    expect(words.slice(-8)).toEqual(["-l", "me", "-p", "2222", "-i", "/k", "-J", "bastion"]);
    // What would let a machine in unseen, or hand the user's keys on.
    expect(reachWords(spec, timing).join(" ")).not.toMatch(/StrictHostKeyChecking|UserKnownHostsFile|ForwardAgent=yes/);
    expect(reachWords(spec, timing)).toContain("BatchMode=yes");
  });
});
