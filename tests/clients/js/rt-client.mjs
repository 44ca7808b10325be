// rt-client in node: the plain events of LowLevelRTClient and the objects of RTClient, by key and by token.
import { LowLevelRTClient, RTClient } from 'rt-client';

import { turnsOver } from './events.mjs';
import { Inbox } from './job.mjs';
import { perform } from './perform.mjs';
import { rtTurns } from './rt-session.mjs';

const DEPLOYMENT = { deployment: 'gpt-realtime' };
const here = (job) => new URL(`ws://${job.plain}/`);
const byKey = (job) => ({ key: job.key });
const byToken = (job) => ({
  getToken: async () => ({ token: job.key, expiresOnTimestamp: Date.now() + 3_600_000 }),
});

async function openLow(job, credential) {
  const client = new LowLevelRTClient(here(job), credential, DEPLOYMENT);
  const inbox = new Inbox(job);
  void (async () => {
    for await (const event of client.messages()) inbox.put(event);
    inbox.fail(new Error('the connection ended'));
  })().catch((error) => inbox.fail(error));
  return { inbox, send: (event) => client.send(event), close: () => client.close() };
}

const low = (credential) => (job) => turnsOver(job, 'beta', () => openLow(job, credential(job)));
const high = (credential) => (job) => rtTurns(job, () => new RTClient(here(job), credential(job), DEPLOYMENT));

await perform({
  'LowLevelRTClient, key': low(byKey),
  'LowLevelRTClient, token': low(byToken),
  'RTClient, key': high(byKey),
  'RTClient, token': high(byToken),
});
