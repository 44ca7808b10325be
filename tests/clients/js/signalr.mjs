// One stock SignalR client in node, told by a job on standard input what to do; prints one line of JSON at the end.
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { signalrActs } from './signalr-acts.mjs';

const job = JSON.parse(readFileSync(0, 'utf8'));
const signalR = await import(job.version === 9 ? '@microsoft/signalr-9' : '@microsoft/signalr');
const msgpack = await import(
  job.version === 9 ? '@microsoft/signalr-protocol-msgpack-9' : '@microsoft/signalr-protocol-msgpack'
);

/** A proxy in between; gives its address and what cuts every connection through it. */
async function line(url) {
  const sockets = new Set();
  const place = new URL(url);
  const proxy = net.createServer((near) => {
    const far = net.connect(Number(place.port), place.hostname);
    for (const [one, other] of [[near, far], [far, near]]) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
      one.pipe(other);
    }
    sockets.add(near);
  });
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const cut = () => sockets.forEach((socket) => socket.destroy());
  return { url: `http://127.0.0.1:${proxy.address().port}${place.pathname}`, cut };
}

const timer = setTimeout(() => {
  process.stdout.write(JSON.stringify({ failed: 'nothing more happened' }) + '\n');
  process.exit(1);
}, job.patience_s * 1000);
try {
  const { url, cut } = job.act === 'everything' ? { url: job.url, cut: () => {} } : await line(job.url);
  const saw = await signalrActs(signalR, msgpack, { ...job, url }, cut)[job.act]();
  process.stdout.write(JSON.stringify(saw) + '\n');
} catch (error) {
  process.stdout.write(JSON.stringify({ failed: String(error?.stack ?? error) }) + '\n');
}
clearTimeout(timer);
process.exit(0);
