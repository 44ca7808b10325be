// The five turns of an RTClient of rt-client: items, responses and audio as objects that are awaited.
import {
  GREETING, LONG_WISH, longAnswer, THANKS, WEATHER, WEATHER_QUESTION, WEATHER_RESULT, piecesOf, userSays, within,
} from './job.mjs';

const HEARING = { turn_detection: { type: 'none' }, input_audio_transcription: { model: 'whisper-1' } };

/** `open` gives a new RTClient: one that met an error is of no more use. */
export function rtTurns(job, open) {
  const one = (turn) => async () => {
    const client = open();
    try {
      return await within(job, 'end of the turn', turn(client));
    } finally {
      await client.close();
    }
  };
  return {
    text: one(async (client) => {
      await client.configure({ modalities: ['text'] });
      return ask(client, GREETING);
    }),
    audio: one(async (client) => {
      await client.configure(HEARING);
      for (const piece of piecesOf(job)) await client.sendAudio(Uint8Array.from(piece));
      const heard = await client.commitAudio();
      const response = await client.generateResponse();
      const answer = await collect(response);
      await heard.waitForCompletion();
      return { ...answer, heard: heard.transcription };
    }),
    tool: one(async (client) => {
      await client.configure({ tools: [WEATHER] });
      const { call } = await ask(client, WEATHER_QUESTION);
      if (!call) throw new Error('no call');
      const output = JSON.stringify(WEATHER_RESULT);
      await client.sendItem({ type: 'function_call_output', call_id: call.call_id, output });
      return { ...(await collect(await client.generateResponse())), call };
    }),
    interruption: one(async (client) => {
      await client.configure({ instructions: longAnswer() });
      await client.sendItem(userSays(LONG_WISH));
      const response = await client.generateResponse();
      await collect(response, () => response.cancel());
      await client.configure({ instructions: '', modalities: ['text'] });
      return { ...(await ask(client, THANKS)), interrupted: response.status };
    }),
    error: one(async (client) => {
      await client.configure({ modalities: ['text'] });
      const error = await client.removeItem('item_nobody').then(() => null, (thrown) => thrown);
      const next = open();
      try {
        await next.configure({ modalities: ['text'] });
        return { ...(await ask(next, THANKS)), error: error?.message };
      } finally {
        await next.close();
      }
    }),
  };
}

async function ask(client, text) {
  await client.sendItem(userSays(text));
  return collect(await client.generateResponse());
}

/** Read a response to its end; `atSound` is called once, when the first sound is there. */
async function collect(response, atSound = async () => {}) {
  const seen = { words: '', sound_bytes: 0, call: undefined };
  for await (const item of response) {
    if (item.type === 'function_call') {
      await item.waitForCompletion();
      seen.call = { name: item.functionName, arguments: JSON.parse(item.arguments), call_id: item.callId };
      continue;
    }
    for await (const content of item) {
      if (content.type === 'text') for await (const piece of content.textChunks()) seen.words += piece;
      else await Promise.all([listen(content, seen, atSound), readAlong(content, seen)]);
    }
  }
  return { ...seen, status: response.status };
}

async function listen(content, seen, atSound) {
  for await (const chunk of content.audioChunks()) {
    if (seen.sound_bytes === 0) await atSound();
    seen.sound_bytes += chunk.byteLength;
  }
}

async function readAlong(content, seen) {
  for await (const piece of content.transcriptChunks()) seen.words += piece;
}
