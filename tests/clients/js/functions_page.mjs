// What the page of the Functions tutorial does, in node: negotiates, connects, logs every `token`, asks with only
// {prompt}. Prints the log's pieces and the answer as one line of JSON once the mark of the end was logged.
import { HubConnectionBuilder, LogLevel } from '@microsoft/signalr';

const [base, prompt] = process.argv.slice(2);
const negotiated = await (await fetch(`${base}/api/negotiate`, { method: 'POST' })).json();
const connection = new HubConnectionBuilder()
  .withUrl(negotiated.url, { accessTokenFactory: () => negotiated.accessToken })
  .withAutomaticReconnect()
  .configureLogging(LogLevel.None)
  .build();
const tokens = [];
const complete = new Promise((resolve) => {
  connection.on('token', (text) => {
    tokens.push(text);
    if (text.includes('✅ 完了')) resolve();
  });
});
await connection.start();
const answer = await fetch(`${base}/api/chat_stream`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ prompt }),
});
const told = await answer.json();
if (answer.ok) await complete;
console.log(JSON.stringify({ tokens, status: answer.status, told }));
await connection.stop();
