// The `openai` package for JavaScript on chat: whole, streamed, with a tool, responses, embeddings, refused.
// Its job comes from standard input; what it saw goes to standard output as one JSON object.
import { readFileSync } from 'node:fs';

import { AzureOpenAI, OpenAI } from 'openai';

const job = JSON.parse(readFileSync(0, 'utf8'));
const openai = new OpenAI({ apiKey: job.key, baseURL: `${job.url}/v1`, maxRetries: 0 });
const azure = new AzureOpenAI({
  apiKey: job.key, endpoint: job.url, apiVersion: '2024-10-21', deployment: job.model, maxRetries: 0,
});
const messages = [{ role: 'user', content: job.words }];
const weather = {
  name: 'get_weather',
  description: 'Tell the weather in a city.',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
};

async function streamed(client) {
  const stream = client.chat.completions.stream({
    model: job.model, messages, stream_options: { include_usage: true },
  });
  const pieces = [];
  stream.on('content', (piece) => pieces.push(piece));
  const final = await stream.finalChatCompletion();
  return {
    words: pieces.join(''), finish: final.choices[0].finish_reason, tokens: final.usage.completion_tokens,
  };
}

async function called() {
  const stream = openai.chat.completions.stream({
    model: job.model,
    messages: [{ role: 'user', content: job.calling }],
    tools: [{ type: 'function', function: weather }],
  });
  const { message, finish_reason: finish } = (await stream.finalChatCompletion()).choices[0];
  const call = message.tool_calls[0];
  return { finish, name: call.function.name, arguments: JSON.parse(call.function.arguments) };
}

async function responded() {
  const stream = openai.responses.stream({ model: job.model, input: job.words });
  const kinds = [];
  for await (const event of stream) kinds.push(event.type);
  return { last: kinds.at(-1), words: (await stream.finalResponse()).output_text };
}

async function left() {
  const stream = await openai.chat.completions.create({ model: job.model, messages, stream: true });
  for await (const chunk of stream) {
    if (chunk.choices.length) break; // which aborts the request
  }
  return stream.controller.signal.aborted;
}

async function refused() {
  try {
    await openai.chat.completions.create({ model: job.model, messages: [] });
  } catch (error) {
    return { kind: error.constructor.name, status: error.status };
  }
  return null;
}

const whole = await openai.chat.completions.create({ model: job.model, messages });
const embedded = await openai.embeddings.create({ model: job.embedding, input: ['one', 'two'] });
process.stdout.write(JSON.stringify({
  whole: whole.choices[0].message.content,
  openai: await streamed(openai),
  azure: await streamed(azure),
  called: await called(),
  responded: await responded(),
  left: await left(),
  refused: await refused(),
  embedded: embedded.data.map((entry) => entry.embedding.length),
}));
