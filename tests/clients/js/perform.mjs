// A client program in node: its job comes from standard input, what each turn saw goes to standard output.
import { readFileSync } from 'node:fs';

import { attempt } from './job.mjs';

/** Run the surfaces that the job names: `surfaces` maps a name to a maker of the five turns. */
export async function perform(surfaces) {
  const job = JSON.parse(readFileSync(0, 'utf8'));
  job.sound = readFileSync(job.speech);
  for (const surface of job.surfaces) {
    for (const turn of job.turns) {
      const outcome = await attempt(() => surfaces[surface](job)[turn]());
      process.stdout.write(`${JSON.stringify({ surface, turn, ...outcome })}\n`);
      if (outcome.failed) break;
    }
  }
  process.exit(0); // whatever a client left open
}
