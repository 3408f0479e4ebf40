import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { link, mkdir, open, readFile, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { isMissing, writeAtomically } from "../files.ts";

const shape = /^tuneup-[A-Za-z0-9_-]{43}$/;

function newKey(): string {
  return `tuneup-${randomBytes(32).toString("base64url")}`;
}

/** The endpoint's key at `path`; undefined if there is none, or no whole one. */
export async function readKey(path: string): Promise<string | undefined> {
  try {
    const key = (await readFile(path, "utf8")).trim();
    return shape.test(key) ? key : undefined;
  } catch (thrown) {
    if (isMissing(thrown)) return undefined;
    throw thrown;
  }
}

/** The endpoint's key, made at first use (mode 0600) and kept ever after. Two callers at once get the same key. */
export async function ensureKey(path: string): Promise<string> {
  const existing = await readKey(path);
  if (existing !== undefined) return existing;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  const file = await open(temporary, "wx", 0o600);
  try {
    await file.writeFile(`${newKey()}\n`);
    await file.sync();
    // A link is made only where nothing is: the first caller's key wins, and it is whole from the start.
    await link(temporary, path);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "EEXIST") throw thrown;
  } finally {
    await file.close();
    await rm(temporary, { force: true });
  }
  return (await readKey(path)) ?? rotateKey(path);
}

/** Replaces the key; a live gateway takes the new one with its next request. */
export async function rotateKey(path: string): Promise<string> {
  const key = newKey();
  await writeAtomically(path, `${key}\n`);
  return key;
}

/** Compares keys in constant time and follows the file: a rotated key holds at once, without a signal. */
export class KeyCheck {
  readonly #path: string;
  #seen = "";
  #digest: Buffer | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Does this `Authorization` header carry the key? */
  accepts(authorization: string | undefined): boolean {
    this.#follow();
    const given = /^Bearer +(\S+)$/i.exec(authorization ?? "")?.[1];
    if (given === undefined || this.#digest === undefined) return false;
    return timingSafeEqual(digest(given), this.#digest);
  }

  #follow(): void {
    try {
      const { ino, mtimeMs, size } = statSync(this.#path);
      const seen = `${ino}:${mtimeMs}:${size}`;
      if (seen === this.#seen) return;
      const key = readFileSync(this.#path, "utf8").trim();
      this.#digest = shape.test(key) ? digest(key) : undefined;
      this.#seen = seen;
    } catch {
      // Without a key nobody is let in.
      this.#digest = undefined;
      this.#seen = "";
    }
  }
}

function digest(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}
