import { stringify } from "yaml";
import { asTrained } from "./as-trained.ts";
import { offline } from "./engine-kind.ts";
import type { EngineKind } from "./engine-kind.ts";

/** SGLang's OpenAI server: adapter and base from one process, many answers at a time. */
export const sglang: EngineKind = {
  name: "sglang",
  places: 64,
  sharesBase: true,
  needs: "sglang",
  asks: asTrained,
  launch: ({ spec, output, folder, wrapper, port, key }) => {
    const python = `${spec.environment}/bin/python`;
    const adapter = spec.artifact === "adapter";
    const config = `${folder}/sglang.yaml`;
    const settings = {
      "model-path": adapter ? spec.weights : output,
      "served-model-name": adapter ? "base" : spec.experiment,
      ...(adapter ? { "enable-lora": true, "lora-paths": `${spec.experiment}=${output}` } : {}),
      "chat-template": `${output}/chat_template.jinja`,
      host: "127.0.0.1",
      port,
      // Its key has no variable of its own: a file keeps it out of the process list.
      "api-key": key,
    };
    return {
      program: python,
      words: [wrapper, "exec", python, "-m", "sglang.launch_server", "--config", config],
      environment: offline,
      files: [{ path: config, text: stringify(settings) }],
    };
  },
};
