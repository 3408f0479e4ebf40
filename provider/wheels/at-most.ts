/** `work` on every item, so many at once; the answers in the order of the items. The first that fails ends it, and no further one is begun. */
export async function atMost<T, R>(count: number, items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const answers = new Array<R>(items.length);
  const left = items.entries();
  let failed = false;
  const worker = async (): Promise<void> => {
    for (const [index, item] of left) {
      if (failed) return;
      answers[index] = await work(item);
    }
  };
  const workers = Array.from({ length: Math.min(count, items.length) }, () =>
    worker().catch((thrown: unknown) => {
      failed = true;
      throw thrown;
    }),
  );
  // All have ended before the failure is told: nobody writes into the folder any more.
  const results = await Promise.allSettled(workers);
  for (const result of results) if (result.status === "rejected") throw result.reason;
  return answers;
}
