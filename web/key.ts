const place = "tuneup.key";

/**
 * The key from the address (`#key=...`), which is taken out of the address bar and the history at once, else the one of
 * this tab's session. It is never stored anywhere else.
 */
export function findKey(): string | undefined {
  const match = /^#(?:.*&)?key=([^&]*)/.exec(location.hash);
  if (match === null) return sessionStorage.getItem(place) ?? undefined;
  history.replaceState(null, "", location.pathname + location.search);
  const key = decoded(match[1] ?? "").trim();
  if (key !== "") keepKey(key);
  return key === "" ? undefined : key;
}

export function keepKey(key: string): void {
  sessionStorage.setItem(place, key);
}

export function forgetKey(): void {
  sessionStorage.removeItem(place);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
