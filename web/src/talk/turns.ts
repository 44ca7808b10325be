// Where each turn's time went, measured in the page: from the last voice in the microphone to the first sound
// of the answer. Pure: an event and the time give the next list.

import type { ServerEvent } from "../line/events";

export interface Turn {
  /** The caller's item; "" for a turn that was typed. */
  item: string;
  said: string;
  /** Moments on one clock, in milliseconds; null when it has not happened. */
  voice_ended: number | null;
  stopped: number | null;
  recognised: number | null;
  answered: number | null;
  first_words: number | null;
  first_sound: number | null;
  heard: number | null;
}

export type Step = "silence" | "decision" | "words" | "voice" | "playout";
export const STEPS: Step[] = ["silence", "decision", "words", "voice", "playout"];

const MOST = 50;

export function timed(turns: Turn[], event: ServerEvent, at: number, last_voice_at: number): Turn[] {
  switch (event.type) {
    case "input_audio_buffer.speech_stopped":
      return begun(turns, event.item_id, Math.min(at, last_voice_at || at), at);
    case "input_audio_buffer.committed":
      return turns.some((one) => one.item === event.item_id) ? turns : begun(turns, event.item_id, null, at);
    case "conversation.item.input_audio_transcription.completed":
      return turns.map((one) =>
        one.item === event.item_id ? { ...one, said: event.transcript, recognised: at } : one,
      );
    case "response.created":
      return first(turns, "answered", at);
    case "response.output_audio_transcript.delta":
    case "response.output_text.delta":
      return first(turns, "first_words", at);
    case "response.output_audio.delta":
      return first(turns, "first_sound", at);
    case "output_audio_buffer.started": // WebRTC: the sound itself comes by another way
      return first(first(turns, "first_sound", at), "heard", at);
    default:
      return turns;
  }
}

export function begun(turns: Turn[], item: string, voice_ended: number | null, stopped: number, said = ""): Turn[] {
  const turn = { item, said, voice_ended, stopped, recognised: null, answered: null };
  const others = turns.filter((one) => one.answered !== null); // a pause in the turn began one that was none
  return [...others, { ...turn, first_words: null, first_sound: null, heard: null }].slice(-MOST);
}

export function heard(turns: Turn[], at: number): Turn[] {
  return first(turns, "heard", at);
}

/** The steps that are known, in order: when each ended, from the last voice on. */
export function stepsOf(turn: Turn): { step: Step; from: number; to: number }[] {
  const zero = turn.voice_ended ?? turn.stopped ?? 0;
  const ends = [turn.stopped, turn.answered, turn.first_words, turn.first_sound, turn.heard];
  let from = 0;
  return STEPS.flatMap((step, index) => {
    const end = ends[index];
    const unspoken = step === "silence" && turn.voice_ended === null;
    if (end === null || end === undefined || unspoken) return [];
    const to = Math.max(from, end - zero);
    const one = { step, from, to };
    from = to;
    return [one];
  });
}

export function totalOf(turn: Turn): number | null {
  const end = turn.heard ?? turn.first_sound ?? turn.first_words;
  return end === null ? null : Math.max(0, end - (turn.voice_ended ?? turn.stopped ?? end));
}

export function recognitionOf(turn: Turn): number | null {
  return turn.recognised === null || turn.stopped === null ? null : Math.max(0, turn.recognised - turn.stopped);
}

/** Note a moment of the newest turn that has been decided, unless it is known. */
function first(turns: Turn[], what: "answered" | "first_words" | "first_sound" | "heard", at: number): Turn[] {
  const last = turns.at(-1);
  if (last === undefined || last[what] !== null) return turns;
  return [...turns.slice(0, -1), { ...last, [what]: at }];
}
