import { writeFileSync } from "node:fs";
import { tryLock } from "../../../agent/lock.ts";
import { ownRecord } from "../../../agent/runs/signals.ts";

/** Stands in for a supervisor that is stopped at a known point: `RECORD LOCK ...` writes its record, takes the locks and stops itself. */
const [record = "", ...locks] = process.argv.slice(2);
for (const path of locks) if (tryLock(path) === undefined) throw new Error(`${path} is taken.`);
writeFileSync(record, ownRecord());
process.kill(process.pid, "SIGSTOP");
