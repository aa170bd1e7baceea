// Asks llama.cpp, through node-llama-cpp, what a GGUF file says.
//   node peer.mjs request.json answer.json logits.bin
// request: {"model": path, "prompts": [[token ids]], "newTokens": n, "texts": [strings], "flashAttention": bool, "forced": null | [[token ids]]}
//          forced: the tokens to go on with, instead of the greedy ones
// answer: {"tokens": [[greedy token ids of each prompt]], "textTokens": [[token ids of each text]], "vocabulary": n}
// logits.bin: little-endian singles, for each prompt and each new token the whole vocabulary's logits it was chosen from.
import {closeSync, openSync, readFileSync, writeFileSync, writeSync} from "node:fs";
import {getLlama} from "node-llama-cpp";

const request = JSON.parse(readFileSync(process.argv[2], "utf8"));
const llama = await getLlama({gpu: false, build: "never", skipDownload: true, logLevel: "error"});
const model = await llama.loadModel({modelPath: request.model});
const logitsFile = openSync(process.argv[4], "w");
const result = {tokens: [], textTokens: request.texts.map((text) => model.tokenize(text, false)), vocabulary: 0};
const context = await model.createContext({contextSize: 1024, flashAttention: request.flashAttention, threads: 1});
const sequence = context.getSequence();

for (const [index, prompt] of request.prompts.entries()) {
    await sequence.clearHistory();
    const chosen = [];
    let input = prompt;
    for (let i = 0; i < request.newTokens; i++) {
        const last = [input[input.length - 1], {generateNext: {logits: true}}];
        const outputs = await sequence.controlledEvaluate([...input.slice(0, -1), last]);
        const logits = outputs[outputs.length - 1].next.logits;
        const numbers = new Float32Array(logits.size);
        let best = -1;
        for (const [token, logit] of logits) {
            numbers[token] = logit;
            if (best < 0 || logit > numbers[best] || (logit === numbers[best] && token < best))
                best = token;
        }
        writeSync(logitsFile, new Uint8Array(numbers.buffer));
        result.vocabulary = numbers.length;
        chosen.push(best);
        input = [request.forced === null ? best : request.forced[index][i]];
    }
    result.tokens.push(chosen);
}
closeSync(logitsFile);
writeFileSync(process.argv[3], JSON.stringify(result));
await llama.dispose();
