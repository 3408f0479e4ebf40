import bundled from "./model-configs.json" with { type: "json" };
import { type ModelShape, readModelConfig } from "./model-config.ts";

interface Bundled {
  readonly parameters?: number;
  readonly config: Readonly<Record<string, unknown>>;
  /** Ids on hubs, each with its own max_position_embeddings. */
  readonly ids: Readonly<Record<string, number>>;
}

const models = bundled.models as unknown as readonly Bundled[];

/** Ids of all models whose config.json is bundled, with the number of parameters that their publisher's weights have. */
export function bundledModels(): { readonly id: string; readonly parameters: number | undefined }[] {
  return models.flatMap(({ ids, parameters }) => Object.keys(ids).map((id) => ({ id, parameters })));
}

/**
 * The bundled config.json of a model, undefined where there is none. The organisation does not count: ModelScope has Llama under
 * another one; nor does the word Meta, which its older names begin with.
 */
export function bundledConfig(id: string): Readonly<Record<string, unknown>> | undefined {
  const wanted = plainName(id);
  for (const { config, ids } of models) {
    for (const [known, positions] of Object.entries(ids)) {
      if (plainName(known) === wanted) return { ...config, max_position_embeddings: positions };
    }
  }
  return undefined;
}

/** Its shape. */
export function bundledShape(id: string): ModelShape | undefined {
  const config = bundledConfig(id);
  return config === undefined ? undefined : readModelConfig(config).shape;
}

function plainName(id: string): string {
  return (id.split("/").at(-1) ?? id).toLowerCase().replace(/^meta-/, "");
}
