import type { ChatRequest } from "./chat-request.ts";
import type { Engine } from "./engine.ts";
import { StopStrings } from "./stop-strings.ts";
import type { Piece, Usage } from "./upstream.ts";

/** What may be shown of an answer: a text or calls of tools. */
export type Shown = { readonly text: string } | { readonly toolCalls: readonly unknown[] };

/** One answer of an engine, cut at the first stop string. Read `shown` to its end, then `finish` and `usage` hold. */
export class Answer {
  finish = "stop";
  /** As counted by the engine, of all that it generated. */
  usage: Usage | undefined;
  readonly #engine: Engine;
  readonly #request: ChatRequest;
  readonly #signal: AbortSignal;

  constructor(engine: Engine, request: ChatRequest, signal: AbortSignal) {
    this.#engine = engine;
    this.#request = request;
    this.#signal = signal;
  }

  async *shown(): AsyncGenerator<Shown> {
    const stops = new StopStrings(this.#request.stop);
    for await (const piece of this.#engine.ask(this.#request.model, this.#request.engine, this.#signal)) {
      this.#note(piece);
      if (piece.toolCalls !== undefined) yield { toolCalls: piece.toolCalls };
      if (piece.text === undefined) continue;
      const { text, stopped } = stops.push(piece.text);
      if (text !== "") yield { text };
      if (stopped) {
        this.finish = "stop";
        // Leaving the loop closes the engine's connection, and that ends its generation.
        return;
      }
    }
    const rest = stops.rest();
    if (rest !== "") yield { text: rest };
  }

  #note({ finish, usage }: Piece): void {
    if (finish !== undefined) this.finish = finish;
    if (usage !== undefined) this.usage = usage;
  }
}
