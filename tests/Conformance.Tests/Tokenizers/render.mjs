// node render.mjs MODEL_FOLDER CHATS.JSON IDS.JSON: renders chats by the template in tokenizer_config.json and encodes each whole with tokenizer.json.
// A chat is { messages, tools, enable_thinking }; the last two may be absent.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Template } from "@huggingface/jinja";
import tokenizers from "tokenizers";

const [modelFolder, chatsPath, idsPath] = process.argv.slice(2);
const tokenizer = tokenizers.Tokenizer.fromFile(join(modelFolder, "tokenizer.json"));
const template = new Template(JSON.parse(readFileSync(join(modelFolder, "tokenizer_config.json"), "utf8")).chat_template);
const ids = [];
for (const chat of JSON.parse(readFileSync(chatsPath, "utf8"))) {
  const text = template.render({ ...chat, add_generation_prompt: true });
  ids.push((await tokenizer.encode(text, null, { addSpecialTokens: false })).getIds());
}
writeFileSync(idsPath, JSON.stringify(ids));
