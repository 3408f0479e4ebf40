import { flushCompileCache } from "node:module";
import { main } from "@pulumi/pulumi/provider/index.js";
import { EngineLog } from "./engine-log.ts";
import { endWithEngine } from "./lifeline.ts";
import { TuneupProvider } from "./provider.ts";

const args = process.argv.slice(2);
// The engine gives its address as the one argument that is not a flag.
const engine = args.find((word) => !word.startsWith("-"));
if (engine !== undefined) endWithEngine(engine);
await main(new TuneupProvider(new EngineLog(engine)), args);
// The engine ends us by SIGKILL, which would leave what was compiled unwritten, for each of the two that an `up` starts.
flushCompileCache();
