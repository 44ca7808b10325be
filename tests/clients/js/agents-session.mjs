// The five turns of a RealtimeSession of @openai/agents-realtime, in node and in a page.
// `library` is the package, so that a page can bring the bundle that is made for pages.
import {
  GREETING, Inbox, LONG_WISH, longAnswer, THANKS, WEATHER, WEATHER_QUESTION, WEATHER_RESULT, piecesOf, userSays,
} from './job.mjs';

const NO_DETECTION = { audio: { input: { turnDetection: null, transcription: { model: 'whisper-1' } } } };

class SessionTurns {
  constructor(job, library) {
    this.job = job;
    this.library = library;
    this.inbox = new Inbox(job);
    this.sound_bytes = 0;
  }

  text = () => this.#talk({ outputModalities: ['text'] }, async (session) => {
    session.sendMessage(GREETING);
    return this.#answer(session);
  });

  audio = () => this.#talk(NO_DETECTION, async (session) => {
    const pieces = piecesOf(this.job);
    pieces.forEach((piece, n) => session.sendAudio(bufferOf(piece), { commit: n === pieces.length - 1 }));
    session.transport.sendEvent({ type: 'response.create' });
    const answer = await this.#answer(session);
    const heard = await this.#inHistory(session, 'transcript', (item) => item.role === 'user' && wordsOf(item));
    return { ...answer, heard: wordsOf(heard) };
  });

  tool = () => this.#talk({}, async (session) => {
    session.sendMessage(WEATHER_QUESTION);
    await this.inbox.next('result of the tool', ({ name }) => name === 'agent_tool_end');
    const answer = await this.#answer(session);
    const call = session.history.find((item) => item.type === 'function_call');
    return { ...answer, call: { name: call.name, arguments: JSON.parse(call.arguments) }, result: call.output };
  });

  interruption = () => this.#talk({ ...NO_DETECTION }, async (session) => {
    session.transport.sendEvent({ type: 'conversation.item.create', item: userSays(LONG_WISH) });
    session.transport.sendEvent({ type: 'response.create', response: { instructions: longAnswer() } });
    await this.inbox.next('sound', ({ name }) => name === 'audio');
    session.interrupt();
    await this.inbox.next('audio_interrupted', ({ name }) => name === 'audio_interrupted');
    const { event } = await this.inbox.next('end of the answer', isDone);
    await this.#inHistory(session, 'item that was cut', (item) => item.status === 'incomplete');
    session.sendMessage(THANKS);
    return { ...(await this.#answer(session)), interrupted: event.response.status };
  });

  error = () => this.#talk({ outputModalities: ['text'] }, async (session) => {
    session.transport.sendEvent({
      type: 'conversation.item.delete', item_id: 'item_nobody', event_id: 'mine_1',
    });
    const { error } = await this.inbox.next('error', ({ name }) => name === 'error');
    session.sendMessage(THANKS);
    return { ...(await this.#answer(session)), error: error.error.error.message, blamed: error.error.error.event_id };
  });

  async #talk(config, turn) {
    const { RealtimeAgent, RealtimeSession, OpenAIRealtimeWebSocket, tool } = this.library;
    const weather = tool({ ...WEATHER, strict: false, execute: async () => JSON.stringify(WEATHER_RESULT) });
    const agent = new RealtimeAgent({ name: 'clerk', instructions: '', tools: [weather] });
    const transport = new OpenAIRealtimeWebSocket({ useInsecureApiKey: true });
    const session = new RealtimeSession(agent, { transport, model: 'gpt-realtime', config });
    this.#listen(session);
    await session.connect({
      apiKey: this.job.key, url: `ws://${this.job.plain}/v1/realtime?model=gpt-realtime`,
    });
    try {
      await this.inbox.next('session.updated', ({ event }) => event?.type === 'session.updated');
      return await turn(session);
    } finally {
      session.close();
    }
  }

  #listen(session) {
    for (const name of ['audio_interrupted', 'agent_tool_end', 'history_updated']) {
      session.on(name, () => this.inbox.put({ name }));
    }
    session.on('audio', ({ data }) => {
      this.sound_bytes += data.byteLength;
      this.inbox.put({ name: 'audio' });
    });
    session.on('agent_end', (_context, _agent, words) => this.inbox.put({ name: 'agent_end', words }));
    session.on('transport_event', (event) => this.inbox.put({ name: 'transport_event', event }));
    session.on('error', (error) => this.inbox.put({ name: 'error', error }));
  }

  async #answer(session) {
    const { event } = await this.#next('end of the answer', isDone);
    const { words } = await this.#next('agent_end', ({ name, words }) => name === 'agent_end' && words);
    const roles = session.history.map((item) => item.role ?? item.type);
    return {
      status: event.response.status, words, sound_bytes: this.sound_bytes, roles, tokens: session.usage.totalTokens,
    };
  }

  async #inHistory(session, what, fits) {
    const find = () => session.history.find(fits);
    if (!find()) await this.#next(what, ({ name }) => name === 'history_updated' && find());
    return find();
  }

  #next(what, fits) {
    return this.inbox.next(what, (value) => {
      if (value.name === 'error') throw new Error(JSON.stringify(value.error));
      return fits(value);
    });
  }
}

// The end of a response that asks for no tool.
const isDone = ({ event }) => event?.type === 'response.done'
  && !event.response.output.some((item) => item.type === 'function_call');
const wordsOf = (item) => item.content.map((part) => part.text ?? part.transcript ?? '').join('');
const bufferOf = (piece) => Uint8Array.from(piece).buffer;

export const agentsSurfaces = (library) => ({ RealtimeSession: (job) => new SessionTurns(job, library) });
