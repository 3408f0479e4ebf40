/** Values of a lock's marker variables on the host: `python_full_version`, `sys_platform`, ... */
export type MarkerFacts = Readonly<Record<string, string>>;

/** Parts of a marker, as PEP 508 writes it. */
const token = /\s*(\(|\)|not\s+in\b|[<>=!~]=?=?|'[^']*'|"[^"]*"|[\w.]+)/y;

/** Does an entry with this marker (none: everywhere) belong on a host of these facts? Throws Error for one that can't be read. */
export function applies(marker: string | undefined, facts: MarkerFacts): boolean {
  if (marker === undefined) return true;
  const words = wordsOf(marker);
  const answer = either(words, facts);
  if (words.length > 0) throw unreadable(marker);
  return answer;
}

function wordsOf(marker: string): string[] {
  const words: string[] = [];
  const text = marker.trim();
  for (token.lastIndex = 0; token.lastIndex < text.length;) {
    const word = token.exec(text)?.[1];
    if (word === undefined) throw unreadable(marker);
    words.push(word);
  }
  return words;
}

function either(words: string[], facts: MarkerFacts): boolean {
  let answer = both(words, facts);
  while (words[0] === "or") {
    words.shift();
    // Read in any case: its words must go.
    const next = both(words, facts);
    answer ||= next;
  }
  return answer;
}

function both(words: string[], facts: MarkerFacts): boolean {
  let answer = one(words, facts);
  while (words[0] === "and") {
    words.shift();
    const next = one(words, facts);
    answer &&= next;
  }
  return answer;
}

function one(words: string[], facts: MarkerFacts): boolean {
  if (words[0] === "(") {
    words.shift();
    const answer = either(words, facts);
    if (words.shift() !== ")") throw unreadable(words.join(" "));
    return answer;
  }
  const [left = "", operator = "", right = ""] = words.splice(0, 3);
  const isVersion = [left, right].some((word) => /^python_(full_)?version$/.test(word));
  return compare(valueOf(left, facts), operator, valueOf(right, facts), isVersion);
}

function valueOf(word: string, facts: MarkerFacts): string {
  if (/^['"]/.test(word)) return word.slice(1, -1);
  const value = facts[word];
  if (value === undefined) throw unreadable(word);
  return value;
}

function compare(left: string, operator: string, right: string, isVersion: boolean): boolean {
  if (/^(not\s+)?in$/.test(operator)) return right.includes(left) === (operator === "in");
  const order = isVersion ? versionOrder(left, right) : Number(left > right) - Number(left < right);
  switch (operator) {
    case "==":
      return order === 0;
    case "!=":
      return order !== 0;
    case "<":
      return order < 0;
    case "<=":
      return order <= 0;
    case ">":
      return order > 0;
    case ">=":
      return order >= 0;
    default:
      throw unreadable(operator);
  }
}

/** As Python orders releases: `3.9` is before `3.12`, `3.12` is `3.12.0`. */
function versionOrder(left: string, right: string): number {
  const [a, b] = [left, right].map((version) => version.split(".").map(Number));
  for (let index = 0; index < Math.max(a?.length ?? 0, b?.length ?? 0); index += 1) {
    const order = (a?.[index] ?? 0) - (b?.[index] ?? 0);
    if (Number.isNaN(order)) throw unreadable(`${left} ${right}`);
    if (order !== 0) return order;
  }
  return 0;
}

function unreadable(what: string): Error {
  return new Error(`The marker of a lock can't be read at ${JSON.stringify(what)}.`);
}
