import { createInterface, type Interface } from "node:readline/promises";
import { styleText } from "node:util";
import { say } from "./language/say.ts";
import { ask, type Endpoint, type Message } from "./questions.ts";

/** What a conversation is held with. */
export interface ConversationOptions {
  readonly endpoint: Endpoint;
  readonly model: string;
  /** Default: none, so that the template's own holds, as in training. */
  readonly system?: string;
  readonly temperature?: number;
}

/** A conversation in the terminal: answers stream, earlier turns are remembered, arrow up brings back what was typed. */
export class Conversation {
  readonly #options: ConversationOptions;
  readonly #terminal: Interface;
  #messages: Message[] = [];
  #answering: AbortController | undefined;
  #lastEmptyInterrupt = false;
  #over = false;

  constructor(options: ConversationOptions) {
    this.#options = options;
    this.#terminal = createInterface({ input: process.stdin, output: process.stdout, historySize: 500 });
    this.#terminal.on("SIGINT", () => this.#interrupt());
    this.#terminal.on("close", () => (this.#over = true));
    this.#begin();
  }

  /** Until the user ends it. */
  async run(): Promise<void> {
    const { model, endpoint } = this.#options;
    process.stdout.write(`${say("chat.begin", { model, url: endpoint.url, keys: say("chat.keys") })}\n`);
    this.#prompt();
    // An answer has to end before the next line is taken: lines that come meanwhile wait in the iterator.
    for await (const line of this.#terminal) {
      this.#lastEmptyInterrupt = false;
      const text = line.trim();
      if (text === "/exit" || text === "/quit") break;
      if (text !== "" && !this.#command(text)) await this.#answer(text);
      this.#prompt();
    }
    this.#terminal.close();
    process.stdout.write("\n");
  }

  #begin(): void {
    const { system } = this.#options;
    this.#messages = system === undefined ? [] : [{ role: "system", content: system }];
  }

  #prompt(): void {
    // A question that came through a pipe is the last one.
    if (this.#over) return;
    this.#terminal.setPrompt(styleText("bold", say("chat.you")));
    this.#terminal.prompt();
  }

  /** Ctrl-C: stops an answer; at an empty prompt the second one ends. */
  #interrupt(): void {
    if (this.#answering !== undefined) {
      this.#answering.abort();
      return;
    }
    if (this.#lastEmptyInterrupt) {
      this.#terminal.close();
      return;
    }
    this.#lastEmptyInterrupt = true;
    process.stdout.write(`\n${say("chat.again")}\n`);
    this.#prompt();
  }

  #command(text: string): boolean {
    if (!text.startsWith("/")) return false;
    if (text === "/new") {
      this.#begin();
      process.stdout.write(`${say("chat.new")}\n`);
    } else if (text === "/history") {
      for (const { role, content } of this.#messages) process.stdout.write(`${role}: ${content}\n`);
    } else process.stdout.write(`${say("chat.keys")}\n`);
    return true;
  }

  async #answer(text: string): Promise<void> {
    const { endpoint, model, temperature } = this.#options;
    this.#messages.push({ role: "user", content: text });
    const answering = new AbortController();
    this.#answering = answering;
    let answer = "";
    process.stdout.write(`${styleText("cyan", `${model}>`)} `);
    try {
      const options = { signal: answering.signal, ...(temperature === undefined ? {} : { temperature }) };
      for await (const piece of ask(endpoint, model, this.#messages, options)) {
        answer += piece;
        process.stdout.write(piece);
      }
      process.stdout.write("\n");
    } catch (thrown) {
      const reason = answering.signal.aborted ? say("chat.stopped") : reasonOf(thrown);
      process.stdout.write(` ${styleText("yellow", reason)}\n`);
    } finally {
      this.#answering = undefined;
    }
    if (answer !== "") this.#messages.push({ role: "assistant", content: answer });
    else this.#messages.pop();
  }
}

function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const { code } = (thrown.cause ?? {}) as { code?: string };
  return code === "ECONNREFUSED" ? say("chat.gone") : thrown.message;
}
