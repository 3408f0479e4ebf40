/** What is known to be secret or personal on this machine. */
export interface Known {
  /** Secret values, exactly as they occur. Empty and very short ones are ignored: they would eat ordinary text. */
  readonly secrets: readonly string[];
  /** Paths to shorten, longest first wins: path to its replacement, e.g. `/home/anna` to `~`. */
  readonly paths: Readonly<Record<string, string>>;
}

const mark = "[redacted]";

/** Shapes of secrets that nobody told us about. */
const shapes: readonly RegExp[] = [
  /\bpul-[0-9a-f]{20,}\b/g,
  /\b(hf|ghp|gho|github_pat|glpat|npm|pypi)[_-][A-Za-z0-9_-]{16,}\b/g,
  /\bsk-[A-Za-z0-9_-]{8,}/g,
  /\b(AKIA|ASIA)[0-9A-Z]{16}\b/g,
  /\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*/g,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/g,
];

/** A name that holds a secret, then its value: quoted, or up to a blank or comma. */
const named =
  /((?:[A-Za-z_]*(?:api[_-]?key|access[_-]?key|token|passphrase|password|secret)|secure|encryptionsalt|encryptedkey|ciphertext)["']?\s*[:=]\s*)("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|(?!\[redacted\])[^\s"',}&]+)/gi;

/**
 * `text` without secrets: known values, values of fields with a secret's name, known shapes of tokens, credentials in
 * URLs and headers; and without the user's paths. Numbers of tokens (`totalTokens`, `max_tokens`) stay.
 */
export function redact(text: string, known: Known): string {
  let result = text;
  const secrets = known.secrets.map((secret) => secret.trim()).filter((secret) => secret.length >= 6);
  for (const secret of longestFirst(secrets.flatMap(spellings))) result = result.replaceAll(secret, mark);
  for (const shape of shapes) result = result.replace(shape, mark);
  result = result
    .replace(/(authorization["']?\s*[:=]\s*["']?(?:bearer|basic|token)\s+)[^\s"',]+/gi, `$1${mark}`)
    .replace(/\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}/gi, `$1${mark}`)
    .replace(/([a-z][a-z0-9+.-]*:\/\/)[^\s/@"']+@/gi, `$1${mark}@`)
    .replace(
      /([?&](?:X-Amz-(?:Signature|Credential|Security-Token)|Signature|AWSAccessKeyId|sig)=)[^&\s"']+/gi,
      `$1${mark}`,
    )
    .replace(named, (_whole, name: string, value: string) => {
      const quote = /^["']/.exec(value)?.[0] ?? "";
      return `${name}${quote}${mark}${quote}`;
    });
  for (const path of longestFirst(Object.keys(known.paths))) result = result.replaceAll(path, known.paths[path] ?? "");
  return result;
}

/** What may be said of an address: a query may hold a signature, and what stands before @ a password. ModelScope names the file in its query. */
export function addressOf(url: string): string {
  if (!URL.canParse(url)) return "an address that is none";
  const { protocol, host, pathname, searchParams } = new URL(url);
  const path = searchParams.get("FilePath");
  return `${protocol}//${host}${pathname}${path === null ? "" : `?FilePath=${path}`}`;
}

/** `text` with every address in it as `addressOf` says it. */
export function plainAddresses(text: string): string {
  return text.replaceAll(/\b[a-z][a-z0-9+.-]*:\/\/[^\s"'<>)]+/gi, (url) => addressOf(url));
}

/** A secret as text, inside JSON and inside a URL. */
function spellings(secret: string): string[] {
  return [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)];
}

function longestFirst(texts: readonly string[]): string[] {
  return [...new Set(texts)].filter((text) => text !== "").sort((one, other) => other.length - one.length);
}

/** LLaMA-Factory prints the first training example into its log; the user's data stays with the user. */
export function withoutExamples(log: string): string {
  const kept: string[] = [];
  let inside = false;
  for (const line of log.split("\n")) {
    if (inside && /^(\[(INFO|WARNING|ERROR|DEBUG)|Traceback|\s*\d+%\||\{['"]loss)/.test(line)) inside = false;
    if (inside) continue;
    kept.push(line);
    if (/^\W*(training|eval\w*) example:/i.test(line)) {
      inside = true;
      kept.push("[one example of the dataset left out]");
    }
  }
  return kept.join("\n");
}
