// The clients that have a build for web pages, in one: called by the test that opens the page.
import { agentsSurfaces } from './agents-session.mjs';
import { perform } from './job.mjs';
import * as agents from './node_modules/@openai/agents-realtime/dist/bundle/openai-realtime-agents.mjs';
import * as rt from './node_modules/rt-client/dist/browser/index.js';
import { rtSurfaces } from './rt-surfaces.mjs';

const CLIENTS = { '@openai/agents-realtime': agentsSurfaces(agents), 'rt-client': rtSurfaces(rt) };

export async function runInPage(client, job) {
  const done = [];
  const sound = Uint8Array.from(atob(job.sound), (letter) => letter.charCodeAt(0));
  await perform(CLIENTS[client], { ...job, sound }, (outcome) => done.push(outcome));
  return done;
}
