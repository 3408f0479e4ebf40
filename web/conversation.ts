/** A message of OpenAI's chat format. */
export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** One model's answer to one question. `failure`: the sentence that says why it ended early. */
export interface Answer {
  readonly model: string;
  text: string;
  state: "streaming" | "done" | "stopped" | "failed";
  failure?: string;
  /** When asking again makes sense, in milliseconds since 1970. */
  retryAt?: number;
  /** The answer was cut at the limit of tokens. */
  cut?: boolean;
  seconds?: number;
  tokens?: number;
}

/** A question with the answers of one model, or of both. */
export interface Turn {
  readonly question: string;
  readonly answers: Answer[];
}

const place = "tuneup.conversation";

/** The turns so far; they stay in the tab's session, and nowhere else. */
export class Conversation {
  readonly turns: Turn[];
  readonly #storage: Storage;

  constructor(storage: Storage) {
    this.#storage = storage;
    this.turns = read(storage);
  }

  save(): void {
    try {
      this.#storage.setItem(place, JSON.stringify(this.turns));
    } catch {
      // The session's storage is full (5 MB): the page goes on, a reload forgets the newest turns.
    }
  }

  clear(): void {
    this.turns.length = 0;
    this.#storage.removeItem(place);
  }

  /**
   * What `model` is asked for turn `index`: the system prompt, its own earlier answers (another model's where it gave
   * none), then the question. Turns without any answer are left out, for the roles have to alternate.
   */
  messages(index: number, model: string, system: string): ChatMessage[] {
    const messages: ChatMessage[] = system.trim() === "" ? [] : [{ role: "system", content: system }];
    for (const turn of this.turns.slice(0, index)) {
      const answered = turn.answers.filter(({ text }) => text !== "");
      const answer = answered.find((one) => one.model === model) ?? answered[0];
      if (answer === undefined) continue;
      messages.push({ role: "user", content: turn.question }, { role: "assistant", content: answer.text });
    }
    messages.push({ role: "user", content: this.turns[index]?.question ?? "" });
    return messages;
  }
}

function read(storage: Storage): Turn[] {
  try {
    const turns = JSON.parse(storage.getItem(place) ?? "[]") as Turn[];
    // A reload in the middle of an answer stops it.
    for (const answer of turns.flatMap((turn) => turn.answers)) {
      if (answer.state === "streaming") answer.state = "stopped";
    }
    return turns;
  } catch {
    return [];
  }
}
