import { chatEndpointKind } from "./chat-endpoint.ts";
import { datasetKind } from "./dataset.ts";
import { environmentKind } from "./environment.ts";
import { modelWeightsKind } from "./model-weights.ts";
import { runCompletionKind } from "./run-completion.ts";
import { sftJobKind } from "./sft-job.ts";

/** Every resource of the package `tuneup-host`, by the last part of its type token. */
export const resourceKinds = {
  Environment: environmentKind,
  ModelWeights: modelWeightsKind,
  Dataset: datasetKind,
  SftJob: sftJobKind,
  ChatEndpoint: chatEndpointKind,
  RunCompletion: runCompletionKind,
} as const;
