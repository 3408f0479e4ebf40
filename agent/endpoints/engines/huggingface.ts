import { stringify } from "yaml";
import type { EngineKind, EngineSetting } from "./engine-kind.ts";
import { offline } from "./engine-kind.ts";

/** LLaMA-Factory's own API with its Hugging Face engine: one model a process, one answer at a time. */
export const huggingface: EngineKind = {
  name: "huggingface",
  places: 1,
  sharesBase: false,
  needs: "llamafactory",
  launch: (setting) => {
    const { spec, folder, wrapper, port, key, models } = setting;
    const config = `${folder}/infer.yaml`;
    return {
      program: `${spec.environment}/bin/python`,
      words: [wrapper, "api", config],
      environment: {
        ...offline,
        API_HOST: "127.0.0.1",
        API_PORT: String(port),
        API_KEY: key,
        API_MODEL_NAME: models[0] ?? spec.experiment,
        // Its default logs every request with its messages.
        API_VERBOSE: "0",
        MAX_CONCURRENT: String(huggingface.places),
        // 2 CPU seconds a step instead of 5 on shared cores (measured).
        OMP_WAIT_POLICY: "PASSIVE",
        GOMP_SPINCOUNT: "0",
        // Their own places are /tmp and the user's home, where nothing of ours stays.
        XDG_CACHE_HOME: `${folder}/cache`,
        MPLCONFIGDIR: `${folder}/cache/matplotlib`,
        TRITON_CACHE_DIR: `${folder}/cache/triton`,
        TORCHINDUCTOR_CACHE_DIR: `${folder}/cache/torchinductor`,
        ...(spec.device === "cpu" ? { CUDA_VISIBLE_DEVICES: "" } : {}),
      },
      files: [{ path: config, text: stringify(inferArguments(setting)) }],
    };
  },
};

function inferArguments({ spec, output, models }: EngineSetting): Record<string, unknown> {
  const base = models[0] !== spec.experiment;
  const weights = !base && spec.artifact === "weights" ? output : spec.weights;
  // Adapters that the training went on from and merged lie under its own.
  const { adapter_name_or_path: under, ...given } = spec.arguments;
  const adapters = typeof under === "string" ? `${under},${output}` : output;
  return {
    ...given,
    model_name_or_path: weights,
    ...(base || spec.artifact === "weights" ? {} : { adapter_name_or_path: adapters }),
    template: spec.template,
    infer_backend: "huggingface",
  };
}
