/** Takes the text of a server-sent event stream in pieces, wherever they break, and gives the `data` of whole events. */
export class EventStream {
  #text = "";
  #data: string[] = [];

  /** The events that this piece completes. */
  push(piece: string): string[] {
    this.#text += piece;
    // A CR at the very end may be the first half of a CRLF.
    const lines = this.#text.split(/\r\n|\n|\r(?!$)/);
    this.#text = lines.pop() ?? "";
    const events: string[] = [];
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length > 0) events.push(this.#data.join("\n"));
        this.#data = [];
      } else if (line.startsWith("data:")) {
        this.#data.push(line.slice(line[5] === " " ? 6 : 5));
      }
    }
    return events;
  }
}

/** The `data` of each event in the bytes of a response. Characters may be cut between chunks, too. */
export async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const stream = new EventStream();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* stream.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
