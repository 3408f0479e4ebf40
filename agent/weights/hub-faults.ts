import { Fault, type FaultFacts } from "../../recipe/fault.ts";
import { plainAddresses } from "../../recipe/redact.ts";
import type { ModelSource } from "../../recipe/sources.ts";

/** A hub of models. */
export type Hub = "huggingface" | "modelscope";

/** What people call them. */
export const hubNames: Readonly<Record<Hub, string>> = { huggingface: "Hugging Face", modelscope: "ModelScope" };

/** The page of a model, where its terms are accepted. A mirror has no such page: it is the hub's own. */
export function modelPage(hub: Hub, id: string): string {
  return hub === "huggingface" ? `https://huggingface.co/${id}` : `https://modelscope.cn/models/${id}`;
}

/** What a sentence is made of: the hub's name, `id at revision`, the source, what the client said. */
interface Said {
  readonly name: string;
  readonly of: string;
  readonly model: ModelSource;
  /** Address of its page. */
  readonly page: string;
  readonly detail: string;
}

/** By the kinds that fetch_weights.py tells. */
const sentences: Readonly<Record<string, (said: Said) => Omit<FaultFacts, "property">>> = {
  gated: ({ name, of, page }) => ({
    code: "weights-gated",
    message: `${name} gives ${of} only to people who accepted its terms.`,
    next: `Accept them at ${page}, then \`pulumi config set --secret hubToken\` with a token of yours that can read it.`,
  }),
  forbidden: ({ name, of, page }) => ({
    code: "weights-forbidden",
    message: `${name} refuses ${of}: the token is missing, wrong, or may not read it.`,
    next: `See ${page} whether access has to be asked for there, and set a token that can read it: \`pulumi config set --secret hubToken\`.`,
  }),
  moved: ({ name, model, detail }) => ({
    code: "weights-moved",
    message: `${name} has other files in ${detail} of ${model.id} than when it was pinned, and names no commit of them.`,
    next: "Delete the model's entry in the lock file beside the stack file to take the new files, or copy the folder from where it was fetched and use `model.source: path`.",
  }),
  damaged: ({ name, of, detail }) => ({
    code: "weights-hash",
    message: `${name} keeps sending other bytes for ${of} than its list says (${detail}). They were removed.`,
    next: "Run it again; if it repeats, a proxy or mirror (HF_ENDPOINT, MODELSCOPE_ENDPOINT) changes the files.",
    blame: "infrastructure",
  }),
  "file-missing": ({ name, of }) => ({
    code: "weights-file-missing",
    message: `${name} lists a file in ${of} that it does not give.`,
    next: "Run it again later, or set HF_ENDPOINT or MODELSCOPE_ENDPOINT to another mirror.",
    blame: "infrastructure",
  }),
  "not-found": ({ name, model }) => ({
    code: "weights-not-found",
    message: `${name} has no model ${model.id} (or only for those with a token that may see it).`,
    next: "Check `model.id`: it is OWNER/NAME as on the model's page, such as Qwen/Qwen2.5-0.5B-Instruct.",
  }),
  revision: ({ name, model }) => ({
    code: "weights-revision",
    message: `${name} has no revision ${JSON.stringify(model.revision ?? "main")} of ${model.id}.`,
    next: "Check `model.revision`: a branch, a tag or a commit. Without it the newest is taken.",
  }),
  "bad-id": ({ name, model }) => ({
    code: "weights-id",
    message: `${JSON.stringify(model.id)} is not an id that ${name} can have.`,
    next: "It is OWNER/NAME as on the model's page, such as Qwen/Qwen2.5-0.5B-Instruct.",
  }),
  "pickle-only": ({ name, of }) => ({
    code: "weights-pickle",
    message: `${name} has ${of} only as pickle files (.bin), which can run code when they are loaded.`,
    next: "Choose a model with safetensors files; or, if you trust it, name each of its weight files in `model.allowPickle`.",
  }),
  "no-weights": ({ name, of }) => ({
    code: "weights-none",
    message: `${name} has no safetensors weights in ${of}.`,
    next: "Choose the repository with the full model, not one of GGUF files or adapters.",
  }),
  "rate-limited": ({ name }) => ({
    code: "weights-rate-limited",
    message: `${name} answers 429: too many requests from here.`,
    next: "Wait some minutes and run it again (what is there is kept); a `hubToken` raises the limit.",
    blame: "infrastructure",
  }),
  cut: ({ name, of, detail }) => ({
    code: "weights-cut",
    message: `The download of ${of} from ${name} was cut (${detail}).`,
    next: "Run it again: it goes on where it ended.",
    blame: "infrastructure",
  }),
};

const unreachable = ({ name, of, detail }: Said): Omit<FaultFacts, "property"> => ({
  code: "weights-unreachable",
  message: `${name} can't be reached for ${of} (${detail}).`,
  next: "Check the network or set HF_ENDPOINT or MODELSCOPE_ENDPOINT to a mirror, then run it again (it goes on where it ended); or use `model.source: path` with a folder.",
  blame: "infrastructure",
});

/** The Fault for what a hub's client said about `model`. Every kind that is not in the table counts as unreachable. */
export function hubFault(hub: Hub, model: ModelSource, { fault, detail }: { fault: string; detail: string }): Fault {
  const of = `${model.id}${model.revision === undefined ? "" : ` at ${model.revision}`}`;
  const page = modelPage(hub, model.id);
  // A hub sends its clients on to signed addresses, which they quote.
  const said = { name: hubNames[hub], of, model, page, detail: plainAddresses(detail) };
  const facts = (sentences[fault] ?? unreachable)(said);
  return new Fault({ ...facts, property: fault === "revision" ? "model.revision" : "model.id" });
}
