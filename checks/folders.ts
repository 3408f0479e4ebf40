import { existsSync } from "node:fs";
import type { Experiment } from "../recipe/experiment.ts";
import type { FaultFacts } from "../recipe/fault.ts";
import { adapterFolder, layoutOf, noAdapter } from "../recipe/layout.ts";

/**
 * Is each adapter to go on from there? `home`: the data directory, where runs lie; undefined where it is another machine's, which can't be
 * looked at: the agent looks on every machine.
 */
export function adapterFaults(adapter: string | undefined, home: string | undefined): FaultFacts[] {
  if (adapter === undefined || home === undefined) return [];
  const folders = adapterFolder(adapter, layoutOf(home)).split(",");
  const folder = folders.find((one) => !existsSync(`${one}/adapter_config.json`));
  return folder === undefined ? [] : [{ code: "adapter-missing", property: "model.adapter", ...noAdapter(folder) }];
}

/** A hub's id; LLaMA-Factory takes one as well. */
const hubId = /^[\w.-]+\/[\w.-]+$/;

/** Is the reward model of stage ppo there? It is LLaMA-Factory's own argument: a folder on the machine that trains, a hub's id, or an address. */
export function rewardFaults({ target, train }: Pick<Experiment, "target" | "train">, home: string): FaultFacts[] {
  const { stage, reward_model: reward, reward_model_type: type } = train;
  if (target !== "local" || stage !== "ppo" || typeof reward !== "string" || type === "api") return [];
  const property = "train.reward_model";
  const next = `Name the folder of a finished run of stage rm, such as ${layoutOf(home).run("RUN").output}.`;
  if (reward.startsWith("/")) {
    if (existsSync(reward)) return [];
    return [{ code: "reward-model-missing", property, message: `there is no folder ${reward}.`, next }];
  }
  if (hubId.test(reward) && !reward.startsWith(".")) return [];
  const message = `must be an absolute path or a hub's id (OWNER/NAME), got ${JSON.stringify(reward)}.`;
  return [{ code: "reward-model-missing", property, message, next }];
}
