// A client program in node: its job comes from standard input, what each turn saw goes to standard output.
import { readFileSync } from 'node:fs';

import { perform } from './job.mjs';

export async function run(surfaces) {
  const job = JSON.parse(readFileSync(0, 'utf8'));
  job.sound = readFileSync(job.speech);
  await perform(surfaces, job, (outcome) => process.stdout.write(`${JSON.stringify(outcome)}\n`));
  process.exit(0); // whatever a client left open
}
