import type { ModelShape } from "./model-config.ts";

/** A matrix of a layer: the names that LLaMA-Factory's lora_target knows. */
export interface Matrix {
  readonly name: string;
  readonly input: number;
  readonly output: number;
  /** Elements of its bias. */
  readonly bias: number;
  /** How often it occurs in the whole model. */
  readonly times: number;
}

/** All matrices of the layers; embeddings and the head are not among them. */
export function matricesOf(shape: ModelShape): Matrix[] {
  const { hidden, queries, keys, layers, biases, experts } = shape;
  const qkv = (output: number): number => (biases.qkv ? output : 0);
  const dense = layers - (experts?.layers ?? 0);
  return [
    { name: "q_proj", input: hidden, output: queries, bias: qkv(queries), times: layers },
    { name: "k_proj", input: hidden, output: keys, bias: qkv(keys), times: layers },
    { name: "v_proj", input: hidden, output: keys, bias: qkv(keys), times: layers },
    { name: "o_proj", input: queries, output: hidden, bias: biases.output ? hidden : 0, times: layers },
    ...(dense === 0 ? [] : feedForward(shape, shape.intermediate, dense)),
    ...(experts === undefined ? [] : feedForward(shape, experts.intermediate, experts.layers * experts.count)),
    ...(experts === undefined || experts.shared === 0 ? [] : feedForward(shape, experts.shared, experts.layers)),
  ];
}

function feedForward({ hidden, biases }: ModelShape, width: number, times: number): Matrix[] {
  const bias = (output: number): number => (biases.mlp ? output : 0);
  return [
    { name: "gate_proj", input: hidden, output: width, bias: bias(width), times },
    { name: "up_proj", input: hidden, output: width, bias: bias(width), times },
    { name: "down_proj", input: width, output: hidden, bias: bias(hidden), times },
  ];
}

/** Where a model's parameters are. */
export interface Parameters {
  readonly total: number;
  /** In the layers' matrices: what bitsandbytes quantizes. */
  readonly matrices: number;
  /** Of the input embeddings; those of the head are as many again unless tied. */
  readonly embeddings: number;
  /** All of one layer, on average. */
  readonly perLayer: number;
}

/**
 * Parameters from config.json alone: embeddings V*h, once more for an untied head; for each layer the matrices (q, k, v, o; gate, up
 * and down of the dense part or of each expert), their biases, the router h*E, two norms of h and, in Qwen3, two of a head; one norm at the
 * end. Source: the modeling files of transformers 5.5.4 (Qwen2, Qwen2-MoE, Qwen3, Qwen3-MoE, Llama).
 */
export function parametersOf(shape: ModelShape): Parameters {
  const { hidden, layers, vocabulary, tied, headNorms, headWidth, experts } = shape;
  const list = matricesOf(shape);
  const matrices = sum(list.map(({ input, output, times }) => input * output * times));
  const biases = sum(list.map(({ bias, times }) => bias * times));
  const norms = layers * (2 * hidden + (headNorms ? 2 * headWidth : 0));
  const routers = experts === undefined ? 0 : experts.layers * hidden * (experts.count + (experts.shared > 0 ? 1 : 0));
  const embeddings = vocabulary * hidden;
  const inLayers = matrices + biases + norms + routers;
  const total = embeddings * (tied ? 1 : 2) + inLayers + hidden;
  return { total, matrices, embeddings, perLayer: inLayers / layers };
}

/**
 * Elements that LoRA of rank r adds: r*(input+output) for each targeted matrix; DoRA's magnitudes add one for each output.
 * Source: peft 0.18.1, `LoraLayer.update_layer`.
 */
export function loraParameters(
  shape: ModelShape,
  lora: { readonly rank: number; readonly targets: readonly string[]; readonly dora: boolean },
): number {
  return sum(
    targeted(shape, lora.targets).map(
      ({ input, output, times }) => (lora.rank * (input + output) + (lora.dora ? output : 0)) * times,
    ),
  );
}

/** Elements that OFT trains: each targeted matrix has input/b blocks of b*(b-1)/2. Source: peft 0.18.1, `OFTLayer`. */
export function oftParameters(
  shape: ModelShape,
  oft: { readonly block: number; readonly targets: readonly string[] },
): number {
  const { block } = oft;
  return sum(
    targeted(shape, oft.targets).map(({ input, times }) => ((input / block) * (block * (block - 1)) * times) / 2),
  );
}

/** The matrices with one of these names; `all` means every one, as in LLaMA-Factory. */
export function targeted(shape: ModelShape, targets: readonly string[]): Matrix[] {
  return matricesOf(shape).filter(({ name }) => targets.includes("all") || targets.includes(name));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
