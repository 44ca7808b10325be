// Everything the page shows of a talk, as signals. Events go in; knows no line and no sound.

import { batch, signal } from "@preact/signals";
import type { ServerEvent } from "../line/events";
import { NO_TOKENS, spent, type Tokens } from "./cost";
import { advance, cut, left, played, type Divider, type Entry } from "./entries";
import { traced, type Traced } from "./trace";
import { begun, heard, timed, type Turn } from "./turns";

export class Record {
  readonly entries = signal<Entry[]>([]);
  readonly turns = signal<Turn[]>([]);
  readonly tokens = signal<Tokens>(NO_TOKENS);
  readonly trace = signal<Traced[]>([]);
  readonly callerSpeaks = signal(false);
  readonly agentSpeaks = signal(false);
  readonly thinking = signal(false);
  private begun_at = performance.now();

  clear(): void {
    this.begun_at = performance.now();
    batch(() => {
      this.entries.value = [];
      this.turns.value = [];
      this.tokens.value = NO_TOKENS;
      this.trace.value = [];
    });
  }

  received(event: ServerEvent, last_voice_at: number): void {
    const at = performance.now();
    batch(() => {
      this.entries.value = advance(this.entries.value, event, at);
      this.turns.value = timed(this.turns.value, event, at, last_voice_at);
      this.tokens.value = spent(this.tokens.value, event);
      this.trace.value = traced(this.trace.value, "received", event, at - this.begun_at);
      this.floor(event.type);
    });
  }

  sent(event: { type: string }): void {
    this.trace.value = traced(this.trace.value, "sent", event, performance.now() - this.begun_at);
  }

  typed(text: string): void {
    this.turns.value = begun(this.turns.value, "", null, performance.now(), text);
  }

  started(): void {
    this.agentSpeaks.value = true;
    this.turns.value = heard(this.turns.value, performance.now());
  }

  played(item: string, played_ms: number): void {
    this.entries.value = played(this.entries.value, item, played_ms);
  }

  cut(item: string, played_ms: number): void {
    this.entries.value = cut(this.entries.value, item, played_ms);
  }

  /** The line is gone. */
  left(): void {
    batch(() => {
      this.entries.value = left(this.entries.value, performance.now());
      this.callerSpeaks.value = this.agentSpeaks.value = this.thinking.value = false;
    });
  }

  reconnected(what: Divider["what"]): void {
    const id = `${what}-${this.entries.value.length}`;
    this.entries.value = [...this.entries.value, { is: "divider", id, what }];
  }

  private floor(type: ServerEvent["type"]): void {
    if (type === "input_audio_buffer.speech_started") this.callerSpeaks.value = true;
    else if (type === "input_audio_buffer.speech_stopped") this.callerSpeaks.value = false;
    else if (type === "response.created") this.thinking.value = true;
    else if (type === "response.done") this.thinking.value = false;
    else if (type === "output_audio_buffer.started") this.agentSpeaks.value = true;
    else if (type === "output_audio_buffer.stopped" || type === "output_audio_buffer.cleared") this.agentSpeaks.value = false;
  }
}
