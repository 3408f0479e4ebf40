import { afterAll, beforeAll, beforeEach } from "vitest";
import { whyNone } from "./namespace.ts";

/**
 * Opens what a file of tests needs of a rig before them, and closes it after them. Where no rig can be made every test of
 * the file is skipped with the reason.
 */
export function needsRoot(open: () => Promise<void>, close: () => Promise<void>): void {
  if (whyNone !== undefined) {
    beforeEach(({ skip }) => skip(whyNone));
    return;
  }
  beforeAll(open);
  afterAll(close);
}
