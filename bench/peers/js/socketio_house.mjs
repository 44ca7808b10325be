// socket.io in the place of a hub: `node socketio_house.mjs PORT`. Its orders are those of ../orders.py.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { Server } from 'socket.io';

const TEXT = 'token ^';
const house = createServer();
const io = new Server(house);
const present = [];
io.on('connection', (socket) => {
  present.push(socket.id);
  socket.on('broadcast', (...said) => io.emit('token', ...said));
  socket.on('disconnect', () => present.splice(present.indexOf(socket.id), 1));
});

const now = () => process.hrtime.bigint();
const later = (began, seconds) => began + BigInt(Math.round(seconds * 1e9));
const send = (to, number, due) => to.emit('token', 'conversation-1', 1000 + number, TEXT, Number(due));

async function burst(count) {
  for (let number = 0; number < count; number++) {
    send(io, number, now());
    await setImmediate();
  }
}

async function inTime(hz, seconds) {
  const began = now();
  for (let number = 0; number < Math.round(hz * seconds); number++) {
    const due = later(began, number / hz);
    await setTimeout(Math.max(0, Number(due - now()) / 1e6));
    send(io, number, due);
  }
}

async function eachItsOwn(hz, seconds) {
  const began = now();
  const rate = hz * present.length;
  const total = Math.round(rate * seconds);
  for (let sent = 0; sent < total; await setTimeout(1)) {
    const upto = Math.min(total, Math.round((Number(now() - began) / 1e9) * rate));
    for (; sent < upto; sent++) {
      const number = Math.floor(sent / present.length);
      send(io.to(present[sent % present.length]), number, later(began, sent / rate));
    }
  }
}

house.listen(Number(process.argv[2]), '127.0.0.1', async () => {
  const answer = (said) => process.stdout.write(JSON.stringify(said) + '\n');
  answer({ ready: true });
  for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line);
    if (order.burst) await burst(order.burst);
    else await (order.apart ? eachItsOwn : inTime)(order.hz, order.seconds);
    answer({ done: true });
  }
  process.exit(0);
});
