/** `0:21`, `12:05`, `1:02:05`. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const pad = (value: number): string => String(value).padStart(2, "0");
  const minutes = Math.floor(whole / 60) % 60;
  const hours = Math.floor(whole / 3600);
  return hours > 0 ? `${hours}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
}

/** `512 B`, `9.8 MB` (decimal, as disks are sold). */
export function byteSize(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  return `${power === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${units[power] ?? "B"}`;
}

/** A loss or a learning rate in four significant digits, small ones as 1.00e-4. */
export function short(value: number): string {
  if (value === 0) return "0";
  return Math.abs(value) < 1e-2 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

/** The leaves of a config with their paths (`train.learning_rate`), in order. */
export function leaves(value: unknown, path = ""): [string, string][] {
  if (typeof value !== "object" || value === null)
    return [[path, typeof value === "string" ? value : JSON.stringify(value)]];
  const below = (key: string): string =>
    path === "" ? key : Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`;
  return Object.entries(value)
    .filter(([, part]) => part !== undefined)
    .flatMap(([key, part]) => leaves(part, below(key)));
}
