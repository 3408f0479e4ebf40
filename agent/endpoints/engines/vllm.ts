import { offline } from "./engine-kind.ts";
import type { EngineKind } from "./engine-kind.ts";
import { asTrained } from "./as-trained.ts";

/** LLaMA-Factory's own values where a request says nothing, and its defaults of the `vllm_` arguments. */
const sampling = { temperature: 0.95, top_p: 0.7, top_k: 50 };
const defaults = { length: 4096, memory: 0.7 };

/** vLLM's OpenAI server: adapter and base from one process, many answers at a time. What only the files of the run tell, serve_vllm.py adds. */
export const vllm: EngineKind = {
  name: "vllm",
  places: 64,
  sharesBase: true,
  needs: "vllm",
  script: "serve_vllm",
  asks: asTrained,
  launch: ({ spec, output, folder, wrapper, port, key }) => {
    const adapter = spec.artifact === "adapter";
    const given = spec.arguments;
    const settings = {
      output,
      ...(adapter ? { adapter: spec.experiment } : {}),
      arguments: {
        model: adapter ? spec.weights : output,
        "served-model-name": adapter ? "base" : spec.experiment,
        // LLaMA-Factory leaves the template of the training there.
        "chat-template": `${output}/chat_template.jinja`,
        host: "127.0.0.1",
        port,
        "max-model-len": given["vllm_maxlen"] ?? defaults.length,
        "gpu-memory-utilization": given["vllm_gpu_util"] ?? defaults.memory,
        "enforce-eager": given["vllm_enforce_eager"] === true,
        "trust-remote-code": given["trust_remote_code"] === true,
        "generation-config": "vllm",
        "override-generation-config": JSON.stringify(sampling),
        // Qwen's own words for a call, which LLaMA-Factory trains too.
        "enable-auto-tool-choice": true,
        "tool-call-parser": "hermes",
        "disable-uvicorn-access-log": true,
      },
    };
    const config = `${folder}/vllm.json`;
    return {
      program: `${spec.environment}/bin/python`,
      words: [wrapper, config],
      environment: {
        ...offline,
        VLLM_API_KEY: key,
        VLLM_NO_USAGE_STATS: "1",
        // Their own places are /tmp and the user's home, where nothing of ours stays.
        VLLM_CACHE_ROOT: `${folder}/cache/vllm`,
        VLLM_CONFIG_ROOT: `${folder}/cache/vllm-config`,
        XDG_CACHE_HOME: `${folder}/cache`,
        TRITON_CACHE_DIR: `${folder}/cache/triton`,
        TORCHINDUCTOR_CACHE_DIR: `${folder}/cache/torchinductor`,
      },
      files: [{ path: config, text: `${JSON.stringify(settings, null, 2)}\n` }],
    };
  },
};
