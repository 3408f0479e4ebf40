import { readFileSync } from "node:fs";
import { offline } from "./engine-kind.ts";
import type { EngineKind } from "./engine-kind.ts";

/** vLLM's OpenAI server: adapter and base from one process, many answers at a time. */
export const vllm: EngineKind = {
  name: "vllm",
  places: 64,
  sharesBase: true,
  needs: "vllm",
  launch: ({ spec, output, wrapper, port, key }) => {
    const python = `${spec.environment}/bin/python`;
    const adapter = spec.artifact === "adapter";
    const lora = ["--enable-lora", "--max-lora-rank", String(adapter ? rankLimit(rankOf(output)) : 0)];
    return {
      program: python,
      words: [
        ...[wrapper, "exec", python, "-m", "vllm.entrypoints.openai.api_server"],
        ...["--model", adapter ? spec.weights : output],
        ...["--served-model-name", adapter ? "base" : spec.experiment],
        ...(adapter ? [...lora, "--lora-modules", `${spec.experiment}=${output}`] : []),
        // LLaMA-Factory leaves the template of the training there.
        ...["--chat-template", `${output}/chat_template.jinja`],
        ...["--host", "127.0.0.1", "--port", String(port)],
        ...["--disable-log-requests", "--disable-uvicorn-access-log"],
      ],
      environment: { ...offline, VLLM_API_KEY: key, VLLM_NO_USAGE_STATS: "1" },
      files: [],
    };
  },
};

/** The adapter's rank: vLLM's default limit of 16 refuses a larger one when it is loaded. */
function rankOf(output: string): number {
  const { r } = JSON.parse(readFileSync(`${output}/adapter_config.json`, "utf8")) as { r?: unknown };
  return typeof r === "number" ? r : 16;
}

/** The values that vLLM takes for --max-lora-rank. */
function rankLimit(rank: number): number {
  return [8, 16, 32, 64, 128, 256, 320, 512].find((limit) => limit >= rank) ?? 512;
}
