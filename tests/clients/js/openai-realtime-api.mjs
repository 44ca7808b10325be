// RealtimeClient of openai-realtime-api: beta names, its own conversation, tools called by itself.
// Its socket is that of `ws`, or the global WebSocket where node has one.
import { RealtimeClient } from 'openai-realtime-api';

import {
  GREETING, Inbox, LONG_WISH, longAnswer, THANKS, WEATHER, WEATHER_QUESTION, WEATHER_RESULT, piecesOf, within,
} from './job.mjs';
import { run } from './program.mjs';

const say = (text) => [{ type: 'input_text', text }];

class Caller {
  constructor(job) {
    this.job = job;
    this.inbox = new Inbox(job);
    this.sound_bytes = 0;
    this.client = new RealtimeClient({
      url: `ws://${job.plain}/v1/realtime`, apiKey: job.key, model: 'gpt-realtime',
    });
    this.client.on('conversation.item.completed', ({ item }) => this.inbox.put({ done: item }));
    this.client.on('conversation.updated', ({ item, delta }) => {
      this.sound_bytes += delta?.audio?.byteLength ?? 0;
      this.inbox.put({ updated: item, delta });
    });
    this.client.realtime.on('server.error', ({ error }) => this.inbox.put({ error }));
    this.client.realtime.on('server.response.done', ({ response }) => this.inbox.put({ response }));
  }

  async talk(turn) {
    await this.client.connect();
    try {
      await within(this.job, 'session.created', this.client.waitForSessionCreated());
      return await turn();
    } finally {
      this.client.disconnect();
    }
  }

  async answer(what = 'answer') {
    const { response } = await this.next(what, (value) => value.response);
    const messages = this.client.conversation.getItems().filter((item) => item.role === 'assistant');
    const last = messages.at(-1);
    return {
      status: response.status,
      words: last ? last.formatted.transcript || last.formatted.text : '',
      sound_bytes: this.sound_bytes,
    };
  }

  next(what, fits) {
    return this.inbox.next(what, (value) => {
      if (value.error) throw new Error(value.error.message);
      return fits(value);
    });
  }

  text = () => this.talk(() => {
    this.client.updateSession({ modalities: ['text'] });
    this.client.sendUserMessageContent(say(GREETING));
    return this.answer();
  });

  audio = () => this.talk(async () => {
    for (const piece of piecesOf(this.job)) {
      this.client.appendInputAudio(new Int16Array(Uint8Array.from(piece).buffer));
    }
    this.client.createResponse();
    const heard = await this.next('transcript', ({ updated }) => updated?.role === 'user' && updated.formatted.transcript);
    return { ...(await this.answer()), heard: heard.updated.formatted.transcript };
  });

  tool = () => this.talk(async () => {
    let call;
    const { type: _, ...definition } = WEATHER;
    this.client.addTool(definition, (given) => {
      call = { name: definition.name, arguments: given };
      return WEATHER_RESULT;
    });
    this.client.sendUserMessageContent(say(WEATHER_QUESTION));
    await this.answer('call');
    return { ...(await this.answer()), call };
  });

  interruption = () => this.talk(async () => {
    this.client.updateSession({ instructions: longAnswer() });
    this.client.sendUserMessageContent(say(LONG_WISH));
    const speaking = await this.next('sound', ({ delta }) => delta?.audio);
    this.client.cancelResponse(speaking.updated.id, 2400);
    const cut = await this.answer('end of the answer');
    this.client.updateSession({ instructions: '', modalities: ['text'] });
    this.client.sendUserMessageContent(say(THANKS));
    return { ...(await this.answer()), interrupted: cut.status };
  });

  error = () => this.talk(async () => {
    this.client.updateSession({ modalities: ['text'] });
    this.client.deleteItem('item_nobody');
    const { error } = await this.inbox.next('error', (value) => value.error);
    this.client.sendUserMessageContent(say(THANKS));
    return { ...(await this.answer()), error: error.message };
  });
}

const caller = (job) => new Caller(job);

await run({ 'socket of ws': caller, 'global WebSocket': caller });
