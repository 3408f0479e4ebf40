import { clusterObstacle } from "./cluster.ts";
import { ensurePrograms } from "./programs.ts";

/** What clusters are made of, beside other tests that mostly wait: `npm test` starts this first, and needs the programs last. */
if ((await clusterObstacle()) === undefined) await ensurePrograms();
