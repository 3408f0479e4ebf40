import { describe, expect, it } from "vitest";
import { Conversation } from "../../web/conversation.ts";

/** A session's storage, which can be full. */
function storageOf(full = false): Storage {
  const items = new Map<string, string>();
  return {
    length: 0,
    clear: () => items.clear(),
    key: () => null,
    getItem: (name) => items.get(name) ?? null,
    removeItem: (name) => void items.delete(name),
    setItem: (name, value) => {
      if (full) throw new DOMException("full", "QuotaExceededError");
      items.set(name, value);
    },
  };
}

describe("a conversation", () => {
  it("asks each model with its own answers, and leaves out turns that nobody answered", () => {
    const conversation = new Conversation(storageOf());
    conversation.turns.push(
      {
        question: "one",
        answers: [
          { model: "base", text: "b1", state: "done" },
          { model: "mine", text: "m1", state: "done" },
        ],
      },
      { question: "two", answers: [{ model: "mine", text: "", state: "failed" }] },
      { question: "three", answers: [{ model: "base", text: "b3", state: "stopped" }] },
      { question: "four", answers: [] },
    );
    const texts = (model: string) =>
      conversation.messages(3, model, "").map(({ role, content }) => `${role} ${content}`);
    expect(texts("mine")).toEqual(["user one", "assistant m1", "user three", "assistant b3", "user four"]);
    expect(texts("base")).toEqual(["user one", "assistant b1", "user three", "assistant b3", "user four"]);
    expect(conversation.messages(0, "mine", "Be brief.")).toEqual([
      { role: "system", content: "Be brief." },
      { role: "user", content: "one" },
    ]);
  });

  it("comes back after a reload, an answer under way as stopped", () => {
    const storage = storageOf();
    const before = new Conversation(storage);
    before.turns.push({ question: "one", answers: [{ model: "mine", text: "half", state: "streaming" }] });
    before.save();
    expect(new Conversation(storage).turns).toEqual([
      { question: "one", answers: [{ model: "mine", text: "half", state: "stopped" }] },
    ]);
  });

  it("goes on where the storage is full or torn", () => {
    const full = new Conversation(storageOf(true));
    full.turns.push({ question: "one", answers: [] });
    full.save();
    expect(full.turns).toHaveLength(1);
    const torn = storageOf();
    torn.setItem("tuneup.conversation", '[{"question":"o');
    expect(new Conversation(torn).turns).toEqual([]);
  });
});
