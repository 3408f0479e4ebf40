import { setTimeout as delay } from "node:timers/promises";
import { oneLine } from "../recipe/aws/refusals.ts";
import { Fault } from "../recipe/fault.ts";
import type { AwsHostSpec } from "../recipe/host.ts";
import type { AwsCalls, Ec2Machine } from "./aws-clients.ts";
import type { AwsTiming } from "./aws-timing.ts";

/** Of which stack's machine is spoken. */
export type Place = Pick<AwsHostSpec, "stack" | "region" | "spot">;

/** The machine of a stack that runs or starts. Throws Fault `machine-none`, `machine-ended`, and those of the calls. */
export async function findMachine(calls: AwsCalls, place: Place): Promise<Ec2Machine> {
  const machines = await calls.machines(place.stack);
  const alive = machines.find(({ state }) => state === "running" || state === "pending");
  if (alive !== undefined) return alive;
  const [last] = machines;
  throw last === undefined ? machineNone(place) : machineEnded(last, await endReason(last, calls), place);
}

/** Waiting for a machine: whom to tell, and when to give up. */
export interface Waiting {
  readonly timing: AwsTiming;
  readonly tell: (message: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The same, and undefined between two machines of spot capacity: the last one is gone, not by its own word nor by its lease, so AWS gives another. Throws
 * as it does.
 */
async function findNext(calls: AwsCalls, place: Place): Promise<Ec2Machine | undefined> {
  if (place.spot !== true) return findMachine(calls, place);
  const [last, ...others] = await calls.machines(place.stack);
  const isAlive = ({ state }: Ec2Machine): boolean => state === "running" || state === "pending";
  // While AWS lets one take the other's place both run: the newest goes on.
  if (last === undefined || [last, ...others].some(isAlive)) return findMachine(calls, place);
  const isDone = (await lastWord(last, calls)) !== undefined || isOver(last);
  return isDone ? findMachine(calls, place) : undefined;
}

/** Waits until the machine runs and SSM knows it. Throws Fault `ssm-absent`, `machine-ended`, `machine-none`, and those of the calls. */
export async function awaitOnline(calls: AwsCalls, place: Place, waiting: Waiting): Promise<Ec2Machine> {
  const { timing, tell } = waiting;
  let [began, isBetween] = [performance.now(), false];
  for (;;) {
    const isLate = performance.now() - began > timing.patience;
    const machine = isLate ? await findMachine(calls, place) : await findNext(calls, place);
    if (machine === undefined) {
      isBetween = true;
      tell("AWS took the machine back; waiting until there is another");
      await pause(waiting);
      continue;
    }
    // One that has just come in another's place has a time of its own.
    if (isBetween) [began, isBetween] = [performance.now(), false];
    const isRunning = machine.state === "running";
    if (isRunning && (await calls.isOnline(machine.id))) return machine;
    if (performance.now() - began > timing.patience) throw await ssmAbsent(machine, calls, timing, place);
    tell(isRunning ? `${machine.id} runs; waiting until SSM knows it` : `${machine.id} (${machine.type}) starts`);
    await pause(waiting);
  }
}

/** Until the next look. Throws Fault `cancelled`. */
export async function pause({ timing, signal }: Waiting): Promise<void> {
  await delay(timing.poll, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  if (signal?.aborted !== true) return;
  throw new Fault({ code: "cancelled", message: "Waiting for the machine was cancelled.", blame: "infrastructure" });
}

/** Why a machine ended, as a clause: its own last word, else its lease, else what EC2 says. */
export async function endReason(machine: Ec2Machine, calls: Pick<AwsCalls, "console">): Promise<string> {
  if (machine.state === "stopped" || machine.state === "stopping") return "it is stopped, not terminated";
  // EC2 keeps the console's text for a while after the end; without it the rest still is known.
  const own = await lastWord(machine, calls);
  if (own !== undefined) return own;
  if (isOver(machine)) return `its lease was over at ${new Date(machine.expiry ?? "").toISOString()}`;
  const told = machine.reason ?? "EC2 gives no reason";
  if (/InstanceInitiatedShutdown/.test(told)) return "it powered itself off";
  if (/UserInitiated|User initiated/.test(told)) return "it was terminated through AWS's API";
  if (/SpotInstance/.test(told)) return "AWS took the spot capacity back";
  return oneLine(told).replace(/\.$/, "");
}

/** Why it said that it ends; undefined where it said nothing. */
async function lastWord({ id }: Ec2Machine, calls: Pick<AwsCalls, "console">): Promise<string | undefined> {
  const said = await calls.console(id).catch(() => "");
  return [...said.matchAll(/tuneup: this machine ends: (.*?)\.?\r?$/gm)].at(-1)?.[1];
}

/** Was its lease over when it ended? */
function isOver({ expiry, endedAt }: Ec2Machine): boolean {
  return new Date(expiry ?? "").getTime() <= (endedAt ?? new Date()).getTime();
}

function machineNone({ stack, region, spot }: Place): Fault {
  const waits = spot === true ? "If its group waits for spot capacity, run this again later; else " : "";
  return new Fault({
    code: "machine-none",
    message: `There is no machine of ${stack} in ${region}.`,
    next: `${waits}\`npx tuneup up ${stack}\` makes it.`,
    blame: "infrastructure",
  });
}

function machineEnded({ id, state }: Ec2Machine, reason: string, { stack, region, spot }: Place): Fault {
  const isStopped = state === "stopped" || state === "stopping";
  return new Fault({
    code: "machine-ended",
    message: `The machine of ${stack} in ${region} (${id}) ended: ${reason}.`,
    next: isStopped
      ? `Start it again (\`aws ec2 start-instances --instance-ids ${id} --region ${region}\`), or end it with \`npx tuneup down ${stack}\`.`
      : `${spot === true ? "What its runs published" : "Its data volume"} is kept; \`npx tuneup up ${stack}\` starts another machine where something is left to train or to serve.`,
    blame: "infrastructure",
  });
}

async function ssmAbsent({ id, state }: Ec2Machine, calls: AwsCalls, timing: AwsTiming, { region }: Place) {
  const minutes = Math.round(timing.patience / 60_000);
  const said = await consoleEnd(id, calls);
  const shown = said === undefined ? "Its console says nothing yet." : `The end of its console: ${said}`;
  return new Fault({
    code: "ssm-absent",
    property: "aws.vpc",
    message:
      state === "running"
        ? `${id} (${region}) runs, and its SSM agent has not registered within ${minutes} minutes. ${shown}`
        : `${id} (${region}) is still ${state} after ${minutes} minutes. ${shown}`,
    next: "It needs a way to SSM (the endpoints of `aws.vpc: own`, or a NAT) and a role with AmazonSSMManagedInstanceCore; its lease ends it in any case.",
    blame: "infrastructure",
  });
}

/** The last lines that a machine's first start wrote to the console; undefined where EC2 has none. */
export async function consoleEnd(id: string, calls: Pick<AwsCalls, "console">): Promise<string | undefined> {
  const said = await calls.console(id).catch(() => "");
  return endOf(said.split(/\r?\n/));
}

/** The last lines of a log in one line; undefined where it has none. */
export function endOf(lines: readonly string[]): string | undefined {
  const kept = lines.map((line) => line.trim()).filter((line) => line !== "");
  return kept.length === 0 ? undefined : oneLine(kept.slice(-5).join(" / "));
}
