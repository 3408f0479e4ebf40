/** What the provider tuneup-host gives out for each kind of resource, for programs under mocks. */
export const declaredOutputs: Readonly<Record<string, object>> = {
  Environment: { path: "/data/env/e", torchDevice: "cuda" },
  ModelWeights: { path: "/data/models/m", bytes: 1, revision: "1" },
  Dataset: { path: "/data/datasets/x", names: ["identity"], rows: 16 },
  SftJob: { run: "exp-0123456789ab", directory: "/data/runs/exp-0123456789ab" },
  ChatEndpoint: { url: "http://127.0.0.1:8400", apiKey: "canary-key", models: ["exp"], revision: "r1" },
  RunCompletion: { artifact: "/data/runs/exp-0123456789ab/output", steps: 24 },
};
