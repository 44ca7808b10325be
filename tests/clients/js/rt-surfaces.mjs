// rt-client on both of its levels: the plain events of LowLevelRTClient and the objects of RTClient, by key and
// by token. In node and in a page: `library` is the package.
import { turnsOver } from './events.mjs';
import { Inbox } from './job.mjs';
import { rtTurns } from './rt-session.mjs';

const DEPLOYMENT = { deployment: 'gpt-realtime' };
const here = (job) => new URL(`ws://${job.plain}/`);
const byKey = (job) => ({ key: job.key });
const byToken = (job) => ({
  getToken: async () => ({ token: job.key, expiresOnTimestamp: Date.now() + 3_600_000 }),
});

function openLow(LowLevelRTClient, job, credential) {
  const client = new LowLevelRTClient(here(job), credential, DEPLOYMENT);
  const inbox = new Inbox(job);
  void (async () => {
    for await (const event of client.messages()) inbox.put(event);
    inbox.fail(new Error('the connection ended'));
  })().catch((error) => inbox.fail(error));
  return { inbox, send: (event) => client.send(event), close: () => client.close() };
}

export function rtSurfaces({ LowLevelRTClient, RTClient }) {
  const low = (credential) => (job) => (
    turnsOver(job, 'beta', async () => openLow(LowLevelRTClient, job, credential(job)))
  );
  const high = (credential) => (job) => (
    rtTurns(job, () => new RTClient(here(job), credential(job), DEPLOYMENT))
  );
  return {
    'LowLevelRTClient, key': low(byKey),
    'LowLevelRTClient, token': low(byToken),
    'RTClient, key': high(byKey),
    'RTClient, token': high(byToken),
  };
}
