// Asks llama.cpp, through node-llama-cpp, how a file with a head that ranks scores prompts.
//   node rank.mjs request.json answer.json
// request: {"model": path, "prompts": [[token ids]]}
// answer: [a score between 0 and 1 of each prompt]
import {readFileSync, writeFileSync} from "node:fs";
import {getLlama} from "node-llama-cpp";

const request = JSON.parse(readFileSync(process.argv[2], "utf8"));
const llama = await getLlama({gpu: false, build: "never", skipDownload: true, logLevel: "error"});
const model = await llama.loadModel({modelPath: request.model});
const context = await model.createRankingContext({contextSize: 1024, threads: 1});
const scores = [];
// Its own way in tokenizes query and document by themselves, and not as parts of the prompt, as llama.cpp's server does.
for (const prompt of request.prompts) scores.push(await context._evaluateRankingForInput(prompt));
writeFileSync(process.argv[3], JSON.stringify(scores));
await llama.dispose();
