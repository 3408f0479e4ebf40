import { EngineLog } from "../../../provider/engine-log.ts";
import { endWithEngine } from "../../../provider/lifeline.ts";
import { KubernetesProvider } from "./provider.ts";
import { serve } from "../protocol/server.ts";

// The engine gives its address as the one argument that is not a flag.
const engine = process.argv.slice(2).find((word) => !word.startsWith("-"));
if (engine !== undefined) endWithEngine(engine);
const { port } = await serve(new KubernetesProvider(new EngineLog(engine)));
// The engine reads the port from the first line.
console.log(String(port));
