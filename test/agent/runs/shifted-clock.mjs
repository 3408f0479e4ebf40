// Loaded before a supervisor (`node --import`): its time of day is as many milliseconds off as the file in TUNEUP_TEST_SHIFT says,
// from one call to the next, as on a machine whose clock is set. What performance.now() tells is not touched.
import { readFileSync } from "node:fs";

const RealDate = Date;
const shift = () => {
  try {
    return Number(readFileSync(process.env.TUNEUP_TEST_SHIFT ?? "", "utf8"));
  } catch {
    return 0;
  }
};
globalThis.Date = class extends RealDate {
  constructor(...given) {
    if (given.length === 0) super(RealDate.now() + shift());
    else super(...given);
  }

  static now() {
    return RealDate.now() + shift();
  }
};
