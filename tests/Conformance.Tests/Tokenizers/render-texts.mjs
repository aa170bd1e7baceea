// node render-texts.mjs TEMPLATES_FOLDER CHATS.JSON TEXTS.JSON: renders every chat by every *.jinja of a folder.
// Writes { name: [text or null, ...] }; null where the template refuses the chat or the library cannot render it, and no list at all where it cannot read the template.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Template } from "@huggingface/jinja";

const [folder, chatsPath, textsPath] = process.argv.slice(2);
const chats = JSON.parse(readFileSync(chatsPath, "utf8"));
const all = {};
for (const file of readdirSync(folder).filter((name) => name.endsWith(".jinja")).sort()) {
  let template;
  try {
    template = new Template(readFileSync(join(folder, file), "utf8"));
  } catch {
    continue;
  }
  all[file.slice(0, -".jinja".length)] = chats.map((chat) => {
    try {
      return template.render({ ...chat, add_generation_prompt: true, eos_token: "<|im_end|>" });
    } catch {
      return null;
    }
  });
}
writeFileSync(textsPath, JSON.stringify(all));
