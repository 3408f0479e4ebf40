import type { EndpointSpec } from "../../../recipe/protocol.ts";

interface Turn {
  readonly role: string;
}

/**
 * The request of an engine that renders the model's own chat template: what the training said beside that is said with each request. The
 * Hugging Face engine needs none of it, for it has LLaMA-Factory's template.
 */
export function asTrained(
  body: Readonly<Record<string, unknown>>,
  { arguments: given }: Pick<EndpointSpec, "arguments">,
): Readonly<Record<string, unknown>> {
  const { default_system: system, enable_thinking: thinking } = given;
  const turns = (body["messages"] ?? []) as readonly Turn[];
  const isSilent = typeof system === "string" && system !== "" && turns[0]?.role !== "system";
  return {
    ...body,
    ...(isSilent ? { messages: [{ role: "system", content: system }, ...turns] } : {}),
    ...(typeof thinking === "boolean" ? { chat_template_kwargs: { enable_thinking: thinking } } : {}),
  };
}
