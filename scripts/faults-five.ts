import { spawn } from "node:child_process";
import { once } from "node:events";
import { duration } from "../cli/toolchain/report.ts";

/**
 * `npm run faults:five [-- WORDS]`: the tests over ssh (or those that WORDS name) five times in a row, each test tried once only. It
 * ends at the first failure and says how long each round took: what is green five times has no race that shows.
 */
const rounds = 5;
const given = process.argv.slice(2);
const words = given.length > 0 ? given : ["test/faults/ssh"];

for (let round = 1; round <= rounds; round += 1) {
  const start = performance.now();
  const child = spawn("npm", ["test", "--", "faults", ...words, "--retry=0"], { stdio: "inherit" });
  const [code] = (await once(child, "exit")) as [number | null];
  const took = duration(performance.now() - start);
  if (code !== 0) {
    console.error(`Round ${round} of ${rounds} failed after ${took}.`);
    process.exit(1);
  }
  console.log(`Round ${round} of ${rounds}: green in ${took}.`);
}
