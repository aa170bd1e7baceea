// Talks to a scripted server with every client of docs/clients.md and prints what each saw as one JSON object.
// Usage: node clients.mjs ORIGIN KEY        The script thinks "hm", says "Hello", and calls the tool "weather" when it is offered and has not answered yet.
import OpenAI from "openai";
import Anthropic from "@anthropic-ai/sdk";
import { Ollama } from "ollama";
import { embedMany, generateText, streamText, jsonSchema, stepCountIs, tool } from "ai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { createOpenAI } from "@ai-sdk/openai";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createQwen } from "qwen-ai-provider-v5";
import { ChatOpenAI } from "@langchain/openai";

// Its notes would stand in the output.
globalThis.AI_SDK_LOG_WARNINGS = false;

const [origin, key] = process.argv.slice(2);
const model = "scripted-1";
const seen = {};
const city = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };

async function see(name, action) {
  try {
    seen[name] = await action();
  } catch (error) {
    seen[name] = { failed: `${error.name}: ${error.message}`, status: error.status ?? error.statusCode ?? error.status_code ?? null };
  }
}

async function vercel(model, providerOptions) {
  const weather = tool({ description: "Tells the weather", inputSchema: jsonSchema(city), execute: async ({ city }) => `rain in ${city}` });
  const whole = await generateText({ model, prompt: "Hi", providerOptions });
  const stream = streamText({ model, prompt: "Hi", providerOptions });
  let streamed = "";
  for await (const part of stream.textStream) streamed += part;
  const steps = await generateText({ model, prompt: "Weather?", tools: { weather }, stopWhen: stepCountIs(3), providerOptions });
  const streamedSteps = streamText({ model, prompt: "Weather?", tools: { weather }, stopWhen: stepCountIs(3), providerOptions });
  let afterTools = "";
  for await (const part of streamedSteps.textStream) afterTools += part;
  return {
    text: whole.text, reasoning: whole.reasoningText ?? null, finish: whole.finishReason, input: whole.usage.inputTokens, output: whole.usage.outputTokens,
    streamed, streamedFinish: await stream.finishReason,
    tools: steps.steps.flatMap(step => step.toolResults.map(result => result.output)), steps: steps.steps.length, afterTools,
  };
}

await see("ai-openai-compatible", () => vercel(createOpenAICompatible({ name: "qanat", baseURL: origin + "/v1", apiKey: key, includeUsage: true })(model)));
// It names items of earlier answers instead of sending them, unless it is told that nothing is stored.
await see("ai-openai", () => vercel(createOpenAI({ baseURL: origin + "/v1", apiKey: key })(model), { openai: { store: true } }));
await see("ai-openai-unset", async () => {
  const unset = createOpenAI({ baseURL: origin + "/v1", apiKey: key })(model);
  // The script names a response by the length of its prompt: none that is stored has this one.
  const said = "Hi ".repeat(40);
  const first = await generateText({ model: unset, prompt: said });
  const more = await generateText({ model: unset, messages: [{ role: "user", content: said }, ...first.response.messages, { role: "user", content: "More" }], maxRetries: 0 });
  return { text: more.text };
});
await see("ai-openai-nostore", async () => {
  const provider = createOpenAI({ baseURL: origin + "/v1", apiKey: key });
  const weather = tool({ description: "Tells the weather", inputSchema: jsonSchema(city), execute: async ({ city }) => `rain in ${city}` });
  const steps = await generateText({ model: provider(model), prompt: "Weather?", tools: { weather }, stopWhen: stepCountIs(3), providerOptions: { openai: { store: false, include: ["reasoning.encrypted_content"] } } });
  return { tools: steps.steps.flatMap(step => step.toolResults.map(result => result.output)), text: steps.text };
});
await see("ai-anthropic", () => vercel(createAnthropic({ baseURL: origin + "/v1", apiKey: key })(model)));
await see("qwen-ai-provider", () => vercel(createQwen({ baseURL: origin + "/compatible-mode/v1", apiKey: key })(model)));
await see("qwen-error", async () => generateText({ model: createQwen({ baseURL: origin + "/compatible-mode/v1", apiKey: key })("nowhere"), prompt: "Hi", maxRetries: 0 }));

await see("openai-responses", async () => {
  const client = new OpenAI({ baseURL: origin + "/v1", apiKey: key });
  const first = await client.responses.create({ model, input: "Hi", store: true, metadata: { a: "b" } });
  const again = await client.responses.retrieve(first.id);
  const items = await client.responses.inputItems.list(first.id);
  const second = await client.responses.create({ model, input: "More", previous_response_id: first.id });
  const kinds = [];
  let streamed = "";
  for await (const event of await client.responses.create({ model, input: "Weather?", stream: true, tools: [{ type: "function", name: "weather", parameters: city, strict: false }] })) {
    kinds.push(event.type);
    if (event.type === "response.function_call_arguments.done") streamed = event.arguments;
  }
  await client.responses.delete(first.id);
  return { text: first.output_text, again: again.output_text, items: items.data.length, second: second.output_text, kinds: [...new Set(kinds)], streamed, charge: first.usage.x_qanat.charge };
});

await see("openai-batches", async () => {
  const client = new OpenAI({ baseURL: origin + "/v1", apiKey: key });
  const row = { custom_id: "a", method: "POST", url: "/v1/chat/completions", body: { model, messages: [{ role: "user", content: "Hi" }] } };
  const file = await client.files.create({ file: new File([JSON.stringify(row) + "\n"], "rows.jsonl"), purpose: "batch" });
  let batch = await client.batches.create({ input_file_id: file.id, endpoint: "/v1/chat/completions", completion_window: "24h" });
  while (!["completed", "failed"].includes(batch.status)) batch = await client.batches.retrieve(batch.id);
  const output = await (await client.files.content(batch.output_file_id)).text();
  const listed = (await client.batches.list()).data.length;
  await client.files.delete(file.id);
  return { status: batch.status, counts: batch.request_counts, said: JSON.parse(output).response.body.choices[0].message.content, listed };
});

await see("embeddings", async () => {
  const client = new OpenAI({ baseURL: origin + "/v1", apiKey: key });
  const texts = ["four", "longer text"];
  const openai = await client.embeddings.create({ model, input: texts });
  const vercel = await embedMany({ model: createOpenAICompatible({ name: "qanat", baseURL: origin + "/v1", apiKey: key }).textEmbeddingModel(model), values: texts });
  const ollama = await new Ollama({ host: origin, headers: { Authorization: `Bearer ${key}` } }).embed({ model, input: texts });
  return { openai: openai.data.map(each => each.embedding), vercel: vercel.embeddings, ollama: ollama.embeddings, tokens: openai.usage.prompt_tokens };
});

await see("anthropic", async () => {
  const client = new Anthropic({ baseURL: origin, authToken: key, apiKey: null });
  const whole = await client.messages.create({ model, max_tokens: 64, messages: [{ role: "user", content: "Hi" }] });
  const stream = client.messages.stream({ model, max_tokens: 64, messages: [{ role: "user", content: "Weather?" }], tools: [{ name: "weather", input_schema: city }] });
  let streamed = "";
  stream.on("text", text => { streamed += text; });
  const final = await stream.finalMessage();
  const counted = await client.messages.countTokens({ model, messages: [{ role: "user", content: "Hi" }] });
  const models = await client.models.list();
  let refused = null;
  try {
    await client.messages.create({ model: "nowhere", max_tokens: 1, messages: [{ role: "user", content: "Hi" }] });
  } catch (error) {
    refused = { kind: error.constructor.name, type: error.error?.error?.type };
  }
  return {
    blocks: whole.content.map(block => block.type), text: whole.content.at(-1).text, stop: whole.stop_reason, charge: whole.usage.x_qanat.charge, input: whole.usage.input_tokens + whole.usage.cache_read_input_tokens,
    streamed, stopStreamed: final.stop_reason, call: final.content.find(block => block.type === "tool_use")?.input, counted: counted.input_tokens, models: models.data.map(each => each.id), refused,
  };
});

await see("langchain", async () => {
  const chat = new ChatOpenAI({ model, apiKey: key, configuration: { baseURL: origin + "/v1" }, streamUsage: true });
  const whole = await chat.invoke("Hi");
  let streamed = "";
  for await (const chunk of await chat.stream("Hi")) streamed += chunk.content;
  const withTools = await chat.bindTools([{ type: "function", function: { name: "weather", description: "Tells the weather", parameters: city } }]).invoke("Weather?");
  return { text: whole.content, reasoning: whole.additional_kwargs.reasoning_content ?? null, input: whole.usage_metadata.input_tokens, streamed, calls: withTools.tool_calls.map(call => ({ name: call.name, args: call.args })) };
});

await see("ollama", async () => {
  const client = new Ollama({ host: origin, headers: { Authorization: `Bearer ${key}` } });
  const whole = await client.chat({ model, messages: [{ role: "user", content: "Hi" }] });
  let streamed = "", thought = "";
  for await (const part of await client.chat({ model, stream: true, think: true, messages: [{ role: "user", content: "Hi" }] })) {
    streamed += part.message.content;
    thought += part.message.thinking ?? "";
  }
  const called = await client.chat({ model, messages: [{ role: "user", content: "Weather?" }], tools: [{ type: "function", function: { name: "weather", description: "Tells the weather", parameters: city } }] });
  const generated = await client.generate({ model, prompt: "Hi" });
  const tags = await client.list();
  const shown = await client.show({ model });
  const running = await client.ps();
  const changes = [client.pull({ model }), client.push({ model }), client.create({ model, from: model }), client.copy({ source: model, destination: "other" }), client.delete({ model })];
  const refusals = (await Promise.allSettled(changes)).map(each => each.reason?.message ?? null);
  return {
    text: whole.message.content, thinking: whole.message.thinking, done: whole.done_reason, streamed, thought, call: called.message.tool_calls?.[0]?.function, generated: generated.response,
    tags: tags.models.map(each => each.name), capabilities: shown.capabilities, running: running.models.length, refusals,
  };
});

console.log(JSON.stringify(seen));
