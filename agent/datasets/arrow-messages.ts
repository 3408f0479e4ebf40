import { type FileHandle, open } from "node:fs/promises";
import { Footer } from "apache-arrow/fb/footer";
import { Message } from "apache-arrow/fb/message";
import { MessageHeader } from "apache-arrow/fb/message-header";
import { RecordBatch } from "apache-arrow/fb/record-batch";
import { Schema } from "apache-arrow/fb/schema";
import { ByteBuffer } from "flatbuffers";
import { unreadableTable } from "./problems.ts";

/** What the messages of an Arrow file say without their bodies. */
export interface ArrowOutline {
  readonly columns: readonly string[];
  readonly rows: number;
}

const magic = "ARROW1";
/** Length of the footer, and the magic again. */
const fileEnd = 10;
/** A schema of thousands of columns has less. */
const metadataLimit = 1 << 26;

/**
 * Walks over the messages of an Arrow file, in the file or the stream format (which the datasets library writes), and leaves out their
 * bodies: memory is that of one message's head. Throws Fault `dataset-malformed` also where the file ends too early.
 */
export async function countArrow(file: string): Promise<ArrowOutline> {
  const handle = await open(file, "r");
  try {
    return await walk(handle);
  } catch (thrown) {
    throw unreadableArrow(file, thrown);
  } finally {
    await handle.close();
  }
}

async function walk(handle: FileHandle): Promise<ArrowOutline> {
  const { size } = await handle.stat();
  const head = await read(handle, 0, Math.min(size, magic.length));
  return head.toString("latin1") === magic ? byFooter(handle, size) : byMessages(handle, size);
}

/** The file format: its end says where what is. */
async function byFooter(handle: FileHandle, size: number): Promise<ArrowOutline> {
  const tail = size < magic.length + fileEnd ? undefined : await read(handle, size - fileEnd, fileEnd);
  if (tail?.subarray(4).toString("latin1") !== magic) throw new Error("its end is missing");
  const length = tail.readInt32LE();
  const end = size - fileEnd - length;
  if (length <= 0 || end < magic.length) throw new Error("its footer has no valid length");
  const footer = Footer.getRootAsFooter(new ByteBuffer(await read(handle, end, length)));
  let rows = 0;
  for (let index = 0; index < footer.recordBatchesLength(); index += 1) {
    const position = Number(footer.recordBatches(index)?.offset() ?? 0n);
    const message = position > 0 ? await messageAt(handle, position, end) : undefined;
    if (message === undefined) throw new Error("its footer names a message that is not there");
    rows += rowsOf(message.message);
  }
  return { columns: columnsOf(footer.schema()), rows };
}

/** The stream format: message after message. */
async function byMessages(handle: FileHandle, size: number): Promise<ArrowOutline> {
  let columns: string[] | undefined;
  let rows = 0;
  for (let next = await messageAt(handle, 0, size); next; next = await messageAt(handle, next.end, size)) {
    const { message } = next;
    if (message.headerType() === MessageHeader.Schema) {
      columns = columnsOf(message.header(new Schema()) as Schema | null);
    } else if (columns === undefined) throw new Error("it does not begin with a schema");
    rows += rowsOf(message);
  }
  if (columns === undefined) throw new Error("it has no schema");
  return { columns, rows };
}

/** The message at `position`, and where its body ends; undefined where there is none. Throws where it reaches beyond `limit`. */
async function messageAt(
  handle: FileHandle,
  position: number,
  limit: number,
): Promise<{ readonly message: Message; readonly end: number } | undefined> {
  if (position === limit) return undefined;
  let start = position + 4;
  let length = (await read(handle, position, 4)).readInt32LE();
  // Before Arrow 0.15 nothing stood in front of the length.
  if (length === -1) {
    length = (await read(handle, start, 4)).readInt32LE();
    start += 4;
  }
  if (length === 0) return undefined;
  if (length < 0 || length > metadataLimit || start + length > limit) throw new Error("a message has no valid length");
  const message = Message.getRootAsMessage(new ByteBuffer(await read(handle, start, length)));
  const body = Number(message.bodyLength());
  const end = start + length + body;
  if (body < 0 || end > limit) throw new Error("it ends in the middle of its rows");
  return { message, end };
}

function rowsOf(message: Message): number {
  if (message.headerType() !== MessageHeader.RecordBatch) return 0;
  return Number((message.header(new RecordBatch()) as RecordBatch | null)?.length() ?? 0n);
}

function columnsOf(schema: Schema | null): string[] {
  return Array.from({ length: schema?.fieldsLength() ?? 0 }, (_, index) => schema?.fields(index)?.name() ?? "");
}

async function read(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, position);
  if (bytesRead < length) throw new Error("it ends in the middle of a message");
  return buffer;
}

/** A Fault for a file that the reader can't read. */
export function unreadableArrow(file: string, thrown: unknown) {
  return unreadableTable(
    "Arrow",
    file,
    thrown,
    "Write it anew, for example with save_to_disk of the datasets library.",
  );
}
