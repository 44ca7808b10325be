// The `openai` package for JavaScript: its two sockets (of `ws`, and the global WebSocket), GA, beta and Azure.
// It speaks wss only, so it needs the TLS listener.
import { AzureOpenAI, OpenAI } from 'openai';
import { OpenAIRealtimeWebSocket as BetaWebSocket } from 'openai/beta/realtime/websocket';
import { OpenAIRealtimeWS as BetaWS } from 'openai/beta/realtime/ws';
import { OpenAIRealtimeWebSocket } from 'openai/realtime/websocket';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';

import { turnsOver } from './events.mjs';
import { Inbox } from './job.mjs';
import { run } from './program.mjs';

const MODEL = 'gpt-realtime';

const openai = (job, path) => new OpenAI({ apiKey: job.key, baseURL: `https://${job.secure}${path}` });
const azure = (job, credential) => new AzureOpenAI({
  ...credential, baseURL: `https://${job.secure}/openai`, apiVersion: '2025-04-01-preview', deployment: MODEL,
});

async function opened(job, realtime) {
  const inbox = new Inbox(job);
  realtime.on('event', (event) => inbox.put(event));
  realtime.on('error', (error) => {
    if (!error.error) inbox.fail(error); // those of the server are events too
  });
  await inbox.next('session.created', (event) => event.type === 'session.created');
  return { inbox, send: (event) => realtime.send(event), close: () => realtime.close() };
}

const at = (kind, path, dialect) => (job) => turnsOver(job, dialect, () => (
  opened(job, new kind({ model: MODEL }, openai(job, path)))
));

const onAzure = (kind, credential) => (job) => turnsOver(job, 'beta', async () => (
  opened(job, await kind.azure(azure(job, credential(job))))
));
const byKey = (job) => ({ apiKey: job.key });
const byToken = (job) => ({ azureADTokenProvider: async () => job.key });

await run({
  'OpenAIRealtimeWS': at(OpenAIRealtimeWS, '/v1', 'ga'),
  'OpenAIRealtimeWS, Azure v1': at(OpenAIRealtimeWS, '/openai/v1', 'ga'),
  'OpenAIRealtimeWS, beta': at(BetaWS, '/v1', 'beta'),
  'OpenAIRealtimeWS, Azure key': onAzure(OpenAIRealtimeWS, byKey),
  'OpenAIRealtimeWS, Azure token': onAzure(OpenAIRealtimeWS, byToken),
  'OpenAIRealtimeWebSocket': at(OpenAIRealtimeWebSocket, '/v1', 'ga'),
  'OpenAIRealtimeWebSocket, beta': at(BetaWebSocket, '/v1', 'beta'),
  'OpenAIRealtimeWebSocket, Azure key': onAzure(OpenAIRealtimeWebSocket, byKey),
  'OpenAIRealtimeWebSocket, Azure token': onAzure(OpenAIRealtimeWebSocket, byToken),
});
