import { createHash } from "node:crypto";
import { EventEmitter } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

/** One end of a WebSocket, as far as an API server needs it: binary messages, pings, no fragments, no compression. */
export class FakeWebSocket extends EventEmitter<{ message: [Buffer]; close: [] }> {
  readonly #socket: Duplex;
  #rest: Buffer = Buffer.alloc(0);

  /** Takes an upgrade, by the first of `protocols` that the client offers. */
  constructor(request: IncomingMessage, socket: Duplex, protocols: readonly string[]) {
    super();
    this.#socket = socket;
    const offered = (request.headers["sec-websocket-protocol"] ?? "").split(",").map((word) => word.trim());
    const protocol = protocols.find((word) => offered.includes(word)) ?? "";
    const key = createHash("sha1")
      .update(`${request.headers["sec-websocket-key"] ?? ""}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest("base64");
    const head = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"];
    socket.write([...head, `Sec-WebSocket-Accept: ${key}`, `Sec-WebSocket-Protocol: ${protocol}`, "", ""].join("\r\n"));
    socket.on("data", (data: Buffer) => this.#take(data));
    socket.on("error", () => undefined);
    socket.on("close", () => this.emit("close"));
  }

  /** False where the other end does not keep up: `drained` says when it does. */
  send(data: Buffer): boolean {
    return this.#frame(2, data);
  }

  drained(done: () => void): void {
    this.#socket.once("drain", done);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** As a server that is done. */
  close(): void {
    this.#frame(8, Buffer.from([3, 232]));
    this.#socket.end();
  }

  /** As a cable that is pulled. */
  cut(): void {
    this.#socket.destroy();
  }

  #frame(opcode: number, data: Buffer): boolean {
    if (this.#socket.destroyed) return true;
    const head = Buffer.alloc(10);
    head[0] = 0x80 | opcode;
    if (data.length < 126) {
      head[1] = data.length;
      return this.#socket.write(Buffer.concat([head.subarray(0, 2), data]));
    }
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(data.length), 2);
    return this.#socket.write(Buffer.concat([head, data]));
  }

  #take(data: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, data]);
    for (;;) {
      const frame = frameIn(this.#rest);
      if (frame === undefined) return;
      this.#rest = this.#rest.subarray(frame.length);
      if (frame.opcode === 2) this.emit("message", frame.data);
      else if (frame.opcode === 8) this.#socket.end();
      else if (frame.opcode === 9) this.#frame(10, frame.data);
    }
  }
}

/** The first frame in what came from a client, which masks its bytes; undefined until it is whole. */
function frameIn(bytes: Buffer): { opcode: number; data: Buffer; length: number } | undefined {
  if (bytes.length < 2) return undefined;
  const short = bytes[1]! & 0x7f;
  const sizeBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
  const start = 2 + sizeBytes + 4;
  if (bytes.length < start) return undefined;
  const size = sizeBytes === 0 ? short : bytes.readUIntBE(sizeBytes === 8 ? 4 : 2, sizeBytes === 8 ? 6 : 2);
  if (bytes.length < start + size) return undefined;
  const mask = bytes.subarray(start - 4, start);
  const data = Buffer.from(bytes.subarray(start, start + size)).map((byte, index) => byte ^ mask[index % 4]!);
  return { opcode: bytes[0]! & 0x0f, data: Buffer.from(data), length: start + size };
}
