type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** The same fields without those that are undefined (exactOptionalPropertyTypes tells them apart). */
export function withoutUndefined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, part]) => part !== undefined)) as Defined<T>;
}
