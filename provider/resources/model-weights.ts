import { existsSync } from "node:fs";
import { z } from "zod";
import { verifyWeightsFolder } from "../../agent/weights/verify.ts";
import { type Asked, modelPin, pinModel } from "../../recipe/pins.ts";
import { s3AccessOf } from "../../recipe/s3-access.ts";
import { hostSpec } from "../../recipe/host.ts";
import { modelSource } from "../../recipe/sources.ts";
import { type Health, healthy, type ResourceKind } from "../kind.ts";
import { changePins, loadPins } from "../pins.ts";
import { comesFromHere, pushWeights } from "../push-weights.ts";
import { hasUnknown, type Wire } from "../values.ts";

const inputs = z.object({
  host: hostSpec,
  /** Which machine the host is, where it may become another: what it is to do is said to that one again. */
  machine: z.string().optional(),
  model: modelSource,
  /** Folder of the environment, whose Python fetches and converts. */
  environment: z.string(),
  /** Token of the hub, where the model is gated. */
  hubToken: z.string().optional(),
  /** Path of the experiment's lock file on the machine of `pulumi up`. */
  pins: z.string().optional(),
  /** What the lock file says of this model; computed by check, so that another pin (of a colleague) is a change. */
  pinned: z.object({ source: z.string(), revision: z.string() }).optional(),
});

/** Outputs of `tuneup-host:index:ModelWeights`. */
export interface ModelWeightsOutputs extends Health {
  readonly path: string;
  /** The revision that was fetched: a hub's commit or a package's version. */
  readonly revision: string;
  readonly bytes: number;
  /** The pin that holds from now on; the same words in the next `check` are no change. */
  readonly pinned?: { readonly source: string; readonly revision: string } | undefined;
}

/** The base model as a verified safetensors folder. Fetched once a revision; `destroy` keeps it. */
export const modelWeightsKind: ResourceKind<typeof inputs, ModelWeightsOutputs> = {
  inputs,
  replaceOn: ["host"],
  incidental: ["hubToken", "environment", "pins"],

  async check(news: Wire) {
    const model = modelSource.safeParse(news["model"]);
    if (!model.success || hasUnknown(news["model"])) return { failures: [] };
    if (model.data.source !== "path") {
      const pinned = modelPin(await loadPins(news["pins"] as string | undefined), model.data);
      return { computed: { pinned }, failures: [] };
    }
    const isHere = (news["host"] as Wire | undefined)?.["kind"] === "local";
    // A folder that is not here is looked for on the host, when it is used.
    if (!isHere && !existsSync(model.data.id)) return { failures: [] };
    const damage = await verifyWeightsFolder(model.data.id, model.data.allowPickle);
    return { failures: damage === undefined ? [] : [{ property: "model.id", reason: damage }] };
  },

  id: ({ model }) => `${model.source}:${model.id}`,

  async ensure({ host: spec, model, environment, hubToken, pins }, work) {
    const { host, options } = work;
    // Not the one of check: that may be hours old, and another resource of this update may have written the file since.
    const pin = await pinOf(pins, model);
    const s3 = model.source === "s3" ? s3AccessOf(process.env) : undefined;
    const input = { model, environment, hubToken, pin, s3 };
    const isPushed = !host.isHere && (await comesFromHere(host, spec, model));
    const { path, record, bytes } = isPushed
      ? await pushWeights(input, work)
      : await host.run("weights-ensure", input, options);
    const { source, revision } = record;
    if (model.source !== "path") await changePins(pins, (before) => pinModel(before, model, { source, revision }));
    return { path, revision, bytes, state: healthy, pinned: await pinOf(pins, model) };
  },

  async read(_inputs, old, { host, options }) {
    const found = await host.run("weights-read", { path: old.path }, options);
    if (found === null) return { ...old, state: "missing" };
    return { ...old, bytes: found.bytes, state: found.damage === undefined ? healthy : `damaged: ${found.damage}` };
  },

  remove: () => Promise.resolve(),
};

/** The pin in the lock file; a folder is what it is and has none. */
async function pinOf(pins: string | undefined, model: Asked) {
  return model.source === "path" ? undefined : modelPin(await loadPins(pins), model);
}
