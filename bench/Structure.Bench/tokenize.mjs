// node tokenize.mjs TOKENIZER.JSON STRINGS.JSON IDS.JSON: encodes an array of strings with the Rust library, on one thread and in one call, which is fastest; writes the ids, prints the seconds of a second pass.
import { readFileSync, writeFileSync } from "node:fs";
import tokenizers from "tokenizers";

const [tokenizerPath, stringsPath, idsPath] = process.argv.slice(2);
const tokenizer = tokenizers.Tokenizer.fromFile(tokenizerPath);
const strings = JSON.parse(readFileSync(stringsPath, "utf8"));
const encode = () => tokenizer.encodeBatch(strings, { addSpecialTokens: false });
await encode();
const began = performance.now();
const encodings = await encode();
console.log((performance.now() - began) / 1000);
writeFileSync(idsPath, JSON.stringify(encodings.map((encoding) => encoding.getIds())));
