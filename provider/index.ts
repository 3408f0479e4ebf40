import { provider } from "@pulumi/pulumi";
import { EngineLog } from "./engine-log.ts";
import { endWithEngine } from "./lifeline.ts";
import { TuneupProvider } from "./provider.ts";

const args = process.argv.slice(2);
// The engine gives its address as the one argument that is not a flag.
const engine = args.find((word) => !word.startsWith("-"));
if (engine !== undefined) endWithEngine(engine);
await provider.main(new TuneupProvider(new EngineLog(engine)), args);
