import { Conversation } from "../../cli/conversation.ts";

/** `node conversation-main.ts URL`: `tuneup chat` with the endpoint at URL. */
const [url = ""] = process.argv.slice(2);
await new Conversation({ endpoint: { url, apiKey: "k" }, model: "tiny", system: "Be brief." }).run();
process.stdout.write("over\n");
