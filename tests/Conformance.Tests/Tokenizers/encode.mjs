// node encode.mjs TOKENIZER.JSON STRINGS.JSON IDS.JSON: encodes an array of strings with the reference library into an array of arrays of ids.
import { readFileSync, writeFileSync } from "node:fs";
import tokenizers from "tokenizers";

const [tokenizerPath, stringsPath, idsPath] = process.argv.slice(2);
const tokenizer = tokenizers.Tokenizer.fromFile(tokenizerPath);
const ids = [];
for (const text of JSON.parse(readFileSync(stringsPath, "utf8")))
  ids.push((await tokenizer.encode(text, null, { addSpecialTokens: false })).getIds());
writeFileSync(idsPath, JSON.stringify(ids));
