import { mkdir } from "node:fs/promises";
import { createInterface } from "node:readline/promises";
import { freeBytes } from "../../agent/folders.ts";
import { homeOf } from "../../recipe/home.ts";
import { layoutOf } from "../../recipe/layout.ts";
import { sizeOf } from "../../recipe/usage.ts";
import { say } from "../language/say.ts";
import { homeHere } from "./mounts.ts";

/**
 * `up` on an instance whose disk goes with it, and another disk stays: asks whether the data shall be kept there. The answer is
 * remembered by the folder itself: on that disk, or in the usual place. Off a terminal it says how, and goes on as usual.
 */
export async function proposeHome(): Promise<void> {
  const decision = homeHere(process.env);
  if (decision.kind !== "proposal") return;
  const { home, mount } = decision;
  const usual = homeOf(process.env);
  const free = sizeOf(await freeBytes(mount));
  process.stdout.write(`${say("home.proposal", { mount, free, usual })}\n`);
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    process.stdout.write(`${say("home.how", { home, usual })}\n`);
    return;
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(say("home.question", { home }));
  terminal.close();
  const accepted = !/^\s*(n|no|否|不)/i.test(answer);
  await remember(accepted ? home : usual);
  if (!accepted) return;
  process.env["TUNEUP_HOME"] = home;
  process.stdout.write(`${say("home.remembered", { home })}\n`);
}

/** Makes the folder by which the next command, or the next instance, finds it. */
export async function remember(home: string): Promise<void> {
  await mkdir(layoutOf(home).locks, { recursive: true, mode: 0o700 });
}
