// Stock SignalR clients in node, spread over several servers of one hub; prints one line of JSON at the end.
import { readFileSync } from 'node:fs';
import net from 'node:net';

const job = JSON.parse(readFileSync(0, 'utf8'));
const signalR = await import('@microsoft/signalr');
const msgpack = await import('@microsoft/signalr-protocol-msgpack');

/** A balancer in front of the servers: the client's own one, and the first when that is gone. */
async function balanced(at) {
  const server = net.createServer((near) => {
    const open = (index) => {
      const place = new URL(job.urls[index]);
      const far = net.connect(Number(place.port), place.hostname);
      far.on('connect', () => {
        near.pipe(far);
        far.pipe(near);
      });
      far.on('error', () => (far.connecting !== false && index !== 0 ? open(0) : near.destroy()));
      far.on('close', (failed) => failed || near.destroy());
      near.on('error', () => far.destroy());
      near.on('close', () => far.destroy());
    };
    open(dead.has(at) ? 0 : at);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${server.address().port}${new URL(job.urls[at]).pathname}`;
}

const dead = new Set();

async function member(at, protocol) {
  const found = { at, heard: [], ids: [], back: 0 };
  let builder = new signalR.HubConnectionBuilder()
    .withUrl(await balanced(at), { accessTokenFactory: () => `user${at}` })
    .withAutomaticReconnect([0, 50, 100, 200, 500, 1000])
    .configureLogging(signalR.LogLevel.None);
  if (protocol === 'messagepack') builder = builder.withHubProtocol(new msgpack.MessagePackHubProtocol());
  const one = builder.build();
  one.on('welcome', (id) => found.ids.push(id));
  one.on('told', (text) => {
    found.heard.push(text);
    look();
  });
  one.on('question', (text) => `${at} says ${text}`);
  one.on('silence', () => new Promise(() => {}));
  one.onreconnected(async () => {
    await one.invoke('join', 'room');
    found.back += 1;
    look();
  });
  await one.start();
  await one.invoke('join', 'room');
  return Object.assign(found, { one });
}

let look = () => {};
function until(met) {
  return new Promise((resolve) => {
    look = () => met() && resolve();
    look();
  });
}

async function run() {
  const people = [];
  for (const at of job.urls.keys()) {
    for (const protocol of ['json', 'messagepack']) people.push(await member(at, protocol));
  }
  const saw = {};
  const said = people.map(async ({ one }, index) => {
    for (let number = 0; number < job.count; number++) await one.send('tellGroup', 'room', `${index}:${number}`);
  });
  await Promise.all(said);
  await until(() => people.every(({ heard }) => heard.length >= people.length * job.count));
  saw.together = people.map(({ heard }) => heard.splice(0));
  const [first, last] = [people[0], people.at(-1)];
  saw.asked = await first.one.invoke('askAt', last.ids[0], 'hello');
  await first.one.invoke('addTo', last.ids[0], 'corner');
  await first.one.invoke('tellGroup', 'corner', 'psst');
  await first.one.invoke('tellUser', 'user1', 'to user 1');
  await until(() => last.heard.includes('psst') && people.filter(({ heard }) => heard.includes('to user 1')).length === 2);
  saw.aside = people.map(({ heard }) => heard.splice(0));
  if (job.kill) {
    const asked = people[1].one.invoke('askAt', last.ids[0], 'never').catch((error) => error.message);
    const lost = people.filter(({ at }) => at === job.urls.length - 1);
    for (let number = 0; number < job.count; number++) {
      if (number === Math.floor(job.count / 2)) {
        dead.add(job.urls.length - 1);
        process.kill(job.kill, 'SIGKILL');
        await until(() => lost.every(({ back }) => back === 1));
      }
      await first.one.invoke('tellGroup', 'room', `${number}`);
    }
    await until(() => people.every(({ heard }) => heard.includes(`${job.count - 1}`)));
    saw.survived = people.map(({ heard }) => heard.splice(0));
    saw.never = await asked;
  }
  await Promise.all(people.map(({ one }) => one.stop()));
  return saw;
}

const timer = setTimeout(() => {
  process.stdout.write(JSON.stringify({ failed: 'nothing more happened' }) + '\n');
  process.exit(1);
}, job.patience_s * 1000);
try {
  process.stdout.write(JSON.stringify(await run()) + '\n');
} catch (error) {
  process.stdout.write(JSON.stringify({ failed: String(error?.stack ?? error) }) + '\n');
}
clearTimeout(timer);
process.exit(0);
