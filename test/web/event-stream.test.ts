import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EventStream, eventsOf } from "../../web/event-stream.ts";

/** The bytes cut at these places. */
function streamOf(bytes: Uint8Array, cuts: readonly number[]): ReadableStream<Uint8Array> {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((one, other) => one - other), bytes.length];
  return ReadableStream.from(places.slice(1).map((end, index) => bytes.slice(places[index], end)));
}

async function read(bytes: Uint8Array, cuts: readonly number[]): Promise<string[]> {
  const events: string[] = [];
  for await (const event of eventsOf(streamOf(bytes, cuts))) events.push(event);
  return events;
}

describe("an event stream", () => {
  it("is read the same wherever chunks, characters and line ends are cut", async () => {
    const texts = fc.array(
      fc.string({ unit: "grapheme" }).map((text) => text.replace(/[\r\n]/g, "")),
      { minLength: 1 },
    );
    const lineEnd = fc.constantFrom("\n", "\r\n", "\r");
    await fc.assert(
      fc.asyncProperty(texts, lineEnd, fc.array(fc.nat()), async (events, end, cuts) => {
        const text = events.map((event) => `data: ${event}${end}${end}`).join("");
        // A lone CR at the very end may still become a CRLF: what follows it settles that.
        const bytes = new TextEncoder().encode(`${text}: end${end}`);
        expect(await read(bytes, cuts)).toEqual(events);
      }),
    );
  });

  it("leaves out comments, other fields and an event that is not whole", () => {
    const stream = new EventStream();
    expect(stream.push(": ping\nevent: message\nid: 1\ndata:one\ndata: two\n\ndata: never ended\n")).toEqual([
      "one\ntwo",
    ]);
  });

  it("that the reader leaves is cancelled", async () => {
    let cancelled = false;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new TextEncoder().encode("data: again\n\n")),
      cancel: () => {
        cancelled = true;
      },
    });
    for await (const event of eventsOf(body)) {
      expect(event).toBe("again");
      break;
    }
    expect(cancelled).toBe(true);
  });
});
