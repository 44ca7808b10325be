// The five turns as a client does them that hands its user the plain events, in either dialect.
// `wire` is { send(event), inbox, close() }: the client, opened, with every server event put into its inbox.
import {
  GREETING, LONG_WISH, longAnswer, THANKS, WEATHER, WEATHER_QUESTION, WEATHER_RESULT, lengthOf,
  piecesOf, toBase64, userSays,
} from './job.mjs';

const DETECTION = { type: 'server_vad', create_response: true, interrupt_response: false };
const HEARING = { model: 'whisper-1' };

const GA = {
  textOnly: { type: 'realtime', output_modalities: ['text'] },
  aloud: { type: 'realtime' },
  listening: { type: 'realtime', audio: { input: { transcription: HEARING, turn_detection: DETECTION } } },
  words: { 'response.output_text.done': 'text', 'response.output_audio_transcript.done': 'transcript' },
  sound: 'response.output_audio.delta',
};

const BETA = {
  textOnly: { modalities: ['text'] },
  aloud: { modalities: ['text', 'audio'] },
  // The first preview knew no more of a detection than its type and three numbers.
  listening: { input_audio_transcription: HEARING, turn_detection: { type: 'server_vad' } },
  words: { 'response.text.done': 'text', 'response.audio_transcript.done': 'transcript' },
  sound: 'response.audio.delta',
};

const HEARD = 'conversation.item.input_audio_transcription.completed';

export function turnsOver(job, dialect, open) {
  const names = dialect === 'ga' ? GA : BETA;
  const one = (turn) => async () => {
    const wire = await open();
    try {
      return await turn(new Talk(job, names, wire));
    } finally {
      await wire.close();
    }
  };
  return {
    text: one((talk) => talk.text()),
    audio: one((talk) => talk.audio()),
    tool: one((talk) => talk.tool()),
    interruption: one((talk) => talk.interruption()),
    error: one((talk) => talk.error()),
  };
}

class Talk {
  constructor(job, names, wire) {
    Object.assign(this, { job, names, wire });
  }

  async text() {
    await this.#update(this.names.textOnly);
    return this.#ask(GREETING);
  }

  async audio() {
    await this.#update(this.names.listening);
    for (const piece of piecesOf(this.job)) {
      await this.wire.send({ type: 'input_audio_buffer.append', audio: toBase64(piece) });
    }
    const seen = await this.#until((seen) => has(seen, HEARD) && has(seen, 'response.done'));
    return { ...this.#summary(seen), heard: seen.find((event) => event.type === HEARD).transcript };
  }

  async tool() {
    await this.#update({ ...this.names.aloud, tools: [WEATHER] });
    const asked = await this.#ask(WEATHER_QUESTION);
    const call = asked.output.find((item) => item.type === 'function_call');
    if (!call) throw new Error(`no call, but ${JSON.stringify(asked)}`);
    const item = {
      type: 'function_call_output', call_id: call.call_id, output: JSON.stringify(WEATHER_RESULT),
    };
    await this.wire.send({ type: 'conversation.item.create', item });
    const answered = await this.#respond();
    return { ...answered, call: { name: call.name, arguments: JSON.parse(call.arguments) } };
  }

  async interruption() {
    await this.#update(this.names.aloud);
    await this.wire.send({ type: 'conversation.item.create', item: userSays(LONG_WISH) });
    await this.wire.send({ type: 'response.create', response: { instructions: longAnswer() } });
    await this.wire.inbox.next('sound', (event) => event.type === this.names.sound);
    await this.wire.send({ type: 'response.cancel' });
    const cut = this.#summary(await this.#until((seen) => has(seen, 'response.done')));
    await this.#update(this.names.textOnly);
    return { ...(await this.#ask(THANKS)), interrupted: cut.status };
  }

  async error() {
    await this.#update(this.names.textOnly);
    await this.wire.send({ type: 'conversation.item.delete', item_id: 'item_nobody', event_id: 'mine_1' });
    const { error } = await this.wire.inbox.next('error', (event) => event.type === 'error');
    return { ...(await this.#ask(THANKS)), error: error.message, blamed: error.event_id };
  }

  async #update(session) {
    await this.wire.send({ type: 'session.update', session });
    await this.wire.inbox.next('session.updated', (event) => {
      if (event.type === 'error') throw new Error(event.error.message);
      return event.type === 'session.updated';
    });
  }

  async #ask(text) {
    await this.wire.send({ type: 'conversation.item.create', item: userSays(text) });
    return this.#respond();
  }

  async #respond() {
    await this.wire.send({ type: 'response.create' });
    return this.#summary(await this.#until((seen) => has(seen, 'response.done')));
  }

  async #until(enough) {
    const seen = [];
    await this.wire.inbox.next('response.done', (event) => {
      if (event.type === 'error') throw new Error(event.error.message);
      seen.push(event);
      return enough(seen);
    });
    return seen;
  }

  #summary(seen) {
    const { status, output } = seen.find((event) => event.type === 'response.done').response;
    const words = seen.map((event) => event[this.names.words[event.type]] ?? '').join('');
    const sound = seen.filter((event) => event.type === this.names.sound);
    const sound_bytes = sound.reduce((sum, event) => sum + lengthOf(event.delta), 0);
    return { status, words, sound_bytes, output };
  }
}

const has = (seen, type) => seen.some((event) => event.type === type);
