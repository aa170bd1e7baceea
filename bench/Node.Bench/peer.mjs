// llama.cpp through node-llama-cpp on one model file: prompt and generation speed, as JSON on the last line.
// Generation includes the peer's own sampling in JavaScript-driven steps; docs/benchmarks.md says so beside the figures.
import { getLlama } from "node-llama-cpp";

const [modelPath, promptTokens, generatedTokens, threads, repeats] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const began = performance.now();
const llama = await getLlama({ gpu: false, build: "never", skipDownload: true, maxThreads: threads, logLevel: "error" });
const model = await llama.loadModel({ modelPath });
const context = await model.createContext({ contextSize: promptTokens + generatedTokens + 8, sequences: 1, threads, batchSize: 512 });
const loadSeconds = (performance.now() - began) / 1000;
const sequence = context.getSequence();
const prefill = [], decode = [];
for (let run = 0; run <= repeats; run++) {
  await sequence.clearHistory();
  const tokens = Array.from({ length: promptTokens }, (_, index) => 300 + (index * 7919 + run * 131) % 3000);
  let start = performance.now();
  await sequence.evaluateWithoutGeneratingNewTokens(tokens.slice(0, -1));
  const prefillSeconds = (performance.now() - start) / 1000;
  let count = 0;
  start = performance.now();
  for await (const _ of sequence.evaluate(tokens.slice(-1), { temperature: 0, yieldEogToken: true }))
    if (++count >= generatedTokens) break;
  const decodeSeconds = (performance.now() - start) / 1000;
  if (run === 0) continue; // warm-up
  prefill.push((promptTokens - 1) / prefillSeconds);
  decode.push(count / decodeSeconds);
}
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
console.log(JSON.stringify({ prefill_tokens_per_s: median(prefill), decode_tokens_per_s: median(decode), load_s: loadSeconds, peak_rss_bytes: process.resourceUsage().maxRSS * 1024 }));
process.exit(0);
