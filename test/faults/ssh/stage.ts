import { openStage, type Stage, type StageOptions } from "../stage.ts";
import { openRig, type Rig, type RigOptions } from "./rig.ts";

/** The product with a host behind a wire. */
export interface SshStage extends Stage {
  readonly rig: Rig;
  /** Of another stage on the same host, with a home and a checkout of its own. */
  readonly options: StageOptions;
}

/** What a stage over ssh is made of; `config` is added to the keys that name the host. */
export interface SshStageOptions extends StageOptions {
  readonly rig?: RigOptions;
}

/** Short waits: a lost wire is noticed within seconds. */
const impatience = { TUNEUP_SSH_ALIVE_S: "1" };

/** A stage whose stacks run on a rig: `target: ssh`, the host by its name in the client's ssh config. */
export async function openSshStage({ rig: options = {}, ...more }: SshStageOptions = {}): Promise<SshStage> {
  // A killed trainer is started again at once, as on a local stage.
  const variables = { TUNEUP_RUN_BACKOFF_MS: "100", ...options.variables };
  const rig = await openRig({ ...options, variables });
  try {
    const its: StageOptions = {
      ...more,
      // What the machine that runs `up` has of its own; the host gets its data directory from the rig alone.
      environment: { ...impatience, ...rig.environment, ...more.environment },
      data: rig.data,
      config: { target: "ssh", compute: { host: rig.alias }, storage: { dataDirectory: rig.data }, ...more.config },
    };
    const stage = await openStage(its);
    return {
      ...stage,
      rig,
      options: its,
      remove: async () => {
        await stage.stop();
        await rig.remove();
        await stage.remove();
      },
    };
  } catch (thrown) {
    await rig.remove();
    throw thrown;
  }
}
