// Talks to a running server with OpenAI's own client and prints what it saw as one JSON object.
// Usage: node openai.mjs BASE_URL KEY POOR_KEY     (POOR_KEY belongs to a tenant whose budget cannot pay for anything)
import OpenAI from "openai";

const [baseURL, apiKey, poorKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey });
const messages = [{ role: "user", content: "Say something short." }];
const seen = {};

const models = await client.models.list();
const model = models.data[0].id;
seen.model = model;
seen.retrieved = (await client.models.retrieve(model)).id;

async function chat(options) {
  return await client.chat.completions.create({ model, messages, max_tokens: 8, seed: 7, temperature: 0, ignore_eos: true, ...options });
}

const whole = await chat({});
seen.whole = { text: whole.choices[0].message.content, finish: whole.choices[0].finish_reason, usage: whole.usage };

const parts = await chat({ messages: [{ role: "user", content: [{ type: "text", text: "Say something" }, { type: "text", text: " short." }] }] });
seen.partsText = parts.choices[0].message.content;

const { data, response } = await client.chat.completions.create({ model, messages, max_tokens: 2, ignore_eos: true }).withResponse();
seen.headers = { id: response.headers.get("x-qanat-request-id"), charge: response.headers.get("x-qanat-charge"), cost: response.headers.get("x-qanat-cost") };
seen.headerUsage = data.usage.x_qanat;

async function streamed(options) {
  const chunks = [];
  for await (const chunk of await chat({ stream: true, ...options })) chunks.push(chunk);
  return chunks;
}

const plain = await streamed({});
seen.stream = {
  text: plain.map(chunk => chunk.choices[0]?.delta?.content ?? "").join(""),
  finishes: plain.flatMap(chunk => chunk.choices).map(choice => choice.finish_reason).filter(reason => reason !== null),
  lastUsage: plain.at(-1).usage,
};

const withUsage = await streamed({ stream_options: { include_usage: true } });
seen.streamUsage = { lastChoices: withUsage.at(-1).choices.length, usage: withUsage.at(-1).usage, earlier: withUsage.slice(0, -1).every(chunk => chunk.usage === null) };

const many = await chat({ n: 3, temperature: 1 });
seen.many = many.choices.map(choice => choice.index);

const logprobs = await chat({ logprobs: true, top_logprobs: 2 });
seen.logprobs = logprobs.choices[0].logprobs.content.map(token => ({ token: token.token, bytes: token.bytes, top: token.top_logprobs.length, logprob: token.logprob }));

const completion = await client.completions.create({ model, prompt: ["Once", "Twice"], max_tokens: 4, logprobs: 1, seed: 7, ignore_eos: true });
seen.completion = { choices: completion.choices.map(choice => ({ index: choice.index, tokens: choice.logprobs.tokens.length })), usage: completion.usage };

let completionStream = "";
for await (const chunk of await client.completions.create({ model, prompt: "Once", max_tokens: 4, stream: true, seed: 7, ignore_eos: true })) completionStream += chunk.choices[0]?.text ?? "";
seen.completionStream = completionStream;

// A client that stops listening, long before the answer could be whole: one that rests for seconds before it leaves still leaves too early.
const left = await client.chat.completions.create({ model, messages, max_tokens: 30000, stream: true, seed: 7, ignore_eos: true });
for await (const chunk of left) {
  seen.leftId = chunk.id;
  if (chunk.choices[0]?.delta?.content) break;
}

async function failure(action) {
  try {
    await action();
    return { kind: "none" };
  } catch (error) {
    return { kind: error.constructor.name, status: error.status ?? null, code: error.code ?? null, param: error.param ?? null, type: error.type ?? null, message: error.message };
  }
}

const failFast = { maxRetries: 0 };
seen.errors = {
  badKey: await failure(() => new OpenAI({ baseURL, apiKey: "sk-wrong" }).models.list()),
  unknownModel: await failure(() => chat({ model: "no-such-model" })),
  badValue: await failure(() => chat({ temperature: 9 })),
  badStreamValue: await failure(() => streamed({ top_p: "much" })),
  image: await failure(() => chat({ messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "data:image/png;base64,AA==" } }] }] })),
  tooLong: await failure(() => chat({ messages: [{ role: "user", content: "word ".repeat(400000) }] })),
  noMoney: await failure(() => new OpenAI({ baseURL, apiKey: poorKey, ...failFast }).chat.completions.create({ model, messages, max_tokens: 1000 })),
  unknownPath: await failure(() => client.get("/nothing/here")),
};

console.log(JSON.stringify(seen));
