// What is said in the five turns, and how a client waits for what comes. Knows no client and no wire;
// runs in node and in a page.

export const GREETING = 'こんにちは';
export const THANKS = 'ありがとう';
export const WEATHER_QUESTION = '東京の天気は？';
export const WEATHER_RESULT = { location: '東京', temperature: 21, unit: 'c', condition: '晴れ' };
export const WEATHER = {
  type: 'function',
  name: 'get_weather_for_location',
  description: 'Get the weather for a location',
  parameters: {
    type: 'object',
    properties: {
      location: { type: 'string', description: 'The city and state e.g. San Francisco, CA' },
      unit: { type: 'string', enum: ['c', 'f'] },
    },
    required: ['location'],
  },
};

// What the service's stand-in takes as the wish for a long answer; the embedded engine follows instructions.
export const LONG_WISH = 'long answer, please';

/** Instructions for an answer that is long enough to be stopped in the middle, and new to every cache. */
export function longAnswer() {
  const first = Math.floor(Math.random() * 8000) + 1000;
  const sentences = Array.from({ length: 16 }, (_, n) => `次は受付番号${first + n}番のお客様です。`);
  return `次の文をそのまま言ってください：${sentences.join('')}`;
}

export const userSays = (text) => ({ type: 'message', role: 'user', content: [{ type: 'input_text', text }] });

/** The recorded words, PCM16 at 24 kHz, in pieces of 100 ms; some silence stands behind them. */
export function piecesOf(job) {
  const pieces = [];
  for (let at = 0; at < job.sound.length; at += 4800) pieces.push(job.sound.slice(at, at + 4800));
  return pieces;
}

/** Settle with the promise, or fail with a name when patience is over. */
export async function within(job, what, promise) {
  let timer;
  const over = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${job.patience_s} s`)), job.patience_s * 1000);
  });
  try {
    return await Promise.race([promise, over]);
  } finally {
    clearTimeout(timer);
  }
}

/** What came and was not asked for yet; `next` waits for the first that fits and drops what came before it. */
export class Inbox {
  #job;
  #waiting = [];
  #seekers = [];
  #failure;

  constructor(job) {
    this.#job = job;
  }

  put(value) {
    this.#waiting.push(value);
    this.#seekers.splice(0).forEach((look) => look());
  }

  fail(error) {
    this.#failure = error;
    this.#seekers.splice(0).forEach((look) => look());
  }

  async next(what, fits) {
    return within(this.#job, what, this.#find(fits));
  }

  async #find(fits) {
    for (;;) {
      while (this.#waiting.length > 0) {
        const value = this.#waiting.shift();
        if (fits(value)) return value;
      }
      if (this.#failure) throw this.#failure;
      await new Promise((resolve) => this.#seekers.push(resolve));
    }
  }
}

/** PCM as events carry it. */
export function toBase64(bytes) {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** How many bytes a piece of sound in an event has. */
export const lengthOf = (base64) => atob(base64).length;

/** Do the job's turns on its surfaces and tell of each; `surfaces` maps a name to a maker of the five turns. */
export async function perform(surfaces, job, tell) {
  for (const surface of job.surfaces) {
    for (const turn of job.turns) {
      const outcome = await attempt(() => surfaces[surface](job)[turn]());
      tell({ surface, turn, ...outcome });
      if (outcome.failed) break;
    }
  }
}

async function attempt(doing) {
  try {
    return { saw: await doing() };
  } catch (error) {
    return { failed: String(error?.message || error) };
  }
}
