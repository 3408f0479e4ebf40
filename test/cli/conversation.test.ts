import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Message } from "../../cli/questions.ts";
import { until } from "../agent/runs/harness.ts";

/** A terminal: Python, which the project needs anyway, has one in its library. What comes on stdin is typed. */
const terminal = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)";
const program = fileURLToPath(new URL("./conversation-main.ts", import.meta.url));
const ctrlC = "\u0003";
const ctrlD = "\u0004";

let server: Server;
let asked: Message[][];
/** Answers that the client went away from. */
let left: number;
let chat: ChildProcess;
let screen: string;

const said = (): string => stripVTControlCharacters(screen).replaceAll("\r", "");
const type = (keys: string): void => void chat.stdin?.write(keys);

/** Answers `I heard N`, N the number of messages; to `endless` it never comes to the end. */
function answer(messages: Message[], response: ServerResponse): void {
  asked.push(messages);
  response.on("close", () => (left += response.writableFinished ? 0 : 1));
  const piece = (content: string) => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`;
  response.writeHead(200, { "content-type": "text/event-stream" }).write(piece("I heard "));
  if (messages.at(-1)?.content === "endless") return;
  response.end(`${piece(String(messages.length))}data: [DONE]\n\n`);
}

beforeEach(async () => {
  [asked, left, screen] = [[], 0, ""];
  server = createServer((request, response) => {
    void text(request).then((body) => answer((JSON.parse(body) as { messages: Message[] }).messages, response));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  chat = spawn("python3", ["-c", terminal, process.execPath, program, url], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, TERM: "xterm", NO_COLOR: "1" },
  });
  chat.stdout?.setEncoding("utf8").on("data", (piece: string) => (screen += piece));
  await until(() => said().includes("you> "));
});
afterEach(async () => {
  // Until its last words are in: they would be the next test's.
  if (chat.exitCode === null && chat.signalCode === null) {
    chat.kill("SIGKILL");
    await once(chat, "close");
  }
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const prompts = (): number => said().split("you> ").length - 1;

test("earlier turns are sent with the next question", async () => {
  type("one\r");
  await until(() => said().includes("I heard 2"));
  type("two\r");
  await until(() => said().includes("I heard 4"));
  const system = { role: "system", content: "Be brief." };
  const turn = [
    { role: "user", content: "one" },
    { role: "assistant", content: "I heard 2" },
  ];
  expect(asked).toEqual([
    [system, turn[0]],
    [system, ...turn, { role: "user", content: "two" }],
  ]);
});

test("Ctrl-C stops an answer and not the program, and what was said of it is remembered", async () => {
  type("endless\r");
  await until(() => said().includes("I heard "));
  type(ctrlC);
  await until(() => left === 1);
  await until(() => said().includes("(stopped)"));
  expect(chat.exitCode).toBeNull();
  type("two\r");
  await until(() => said().includes("I heard 4"));
  expect(asked[1]?.map(({ content }) => content)).toEqual(["Be brief.", "endless", "I heard ", "two"]);
});

test("at an empty prompt the first Ctrl-C warns and the second ends it", async () => {
  const before = prompts();
  type(ctrlC);
  await until(() => prompts() > before);
  expect(chat.exitCode).toBeNull();
  type(ctrlC);
  const [code] = (await once(chat, "exit")) as [number | null];
  expect(code).toBe(0);
  expect(said()).toContain("over");
});

test("an answer in between makes the next Ctrl-C a first one again; the end of the input ends it", async () => {
  type(ctrlC);
  await until(() => prompts() > 1);
  type("one\r");
  await until(() => said().includes("I heard 2"));
  await until(() => prompts() > 2);
  const before = prompts();
  type(ctrlC);
  await until(() => prompts() > before);
  type(ctrlD);
  const [code] = (await once(chat, "exit")) as [number | null];
  expect(code).toBe(0);
});
