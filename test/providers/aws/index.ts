import { endWithEngine } from "../../../provider/lifeline.ts";
import { serve } from "../protocol/server.ts";
import { AwsProvider } from "./provider.ts";

// The engine gives its address as the one argument that is not a flag.
const engine = process.argv.slice(2).find((word) => !word.startsWith("-"));
if (engine !== undefined) endWithEngine(engine);
const { port } = await serve(new AwsProvider());
// The engine reads the port from the first line.
console.log(String(port));
