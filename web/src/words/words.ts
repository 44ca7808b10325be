// The shape of one language's words, and which language is shown. The words themselves: `ja.ts`, `en.ts`.

import { computed, effect, signal } from "@preact/signals";
import { remember, remembered, type Carrier, type Mode } from "../talk/choice";
import type { Kind } from "../talk/cost";
import type { TroubleCode } from "../talk/trouble";
import type { Step } from "../talk/turns";
import { en } from "./en";
import { ja } from "./ja";

export interface Words {
  title: string;
  tagline: string;
  language: string;
  skip: string;
  elsewhere: { status: string; pool: string; reference: string };
  agent: string;
  agents: Record<string, { title: string; about: string; says: string[] }>;
  speaks: Record<string, string>;
  carrier: string;
  carriers: Record<Carrier, { title: string; about: string }>;
  mode: string;
  modes: Record<Mode, { title: string; about: string }>;
  key: string;
  keyAbout: string;
  start: string;
  dialling: string;
  end: string;
  mute: string;
  unmute: string;
  hold: string;
  holding: string;
  holdAbout: string;
  type: string;
  send: string;
  trySaying: string;
  states: { idle: string; dialling: string; talking: string; lost: string; listening: string; thinking: string; speaking: string; muted: string };
  you: string;
  them: string;
  transcript: string;
  emptyTranscript: string;
  hearing: string;
  notHeard: string;
  interrupted: (seconds: string) => string;
  unheard: string;
  typed: string;
  tool: string;
  tools: Record<string, string>;
  running: string;
  lost: string;
  percent: (percent: number) => string;
  done: string;
  failed: string;
  seconds: (seconds: string) => string;
  noArguments: string;
  arguments: string;
  result: string;
  resumed: string;
  reconnected: string;
  board: string;
  boardEmpty: string;
  shops: string;
  freeCars: string;
  noFreeCars: string;
  bookings: string;
  noBookings: string;
  cancelled: string;
  latency: string;
  latencyAbout: string;
  latencyEmpty: string;
  steps: Record<Step, string>;
  recognition: (ms: string) => string;
  turnNumber: (number: number) => string;
  cost: string;
  tokens: Record<Kind, string>;
  totalTokens: string;
  unpriced: string;
  meterYou: string;
  meterThem: string;
  debug: string;
  debugFilter: string;
  debugSave: string;
  debugEmpty: string;
  sent: string;
  received: string;
  tryAgain: string;
  dialNow: string;
  typeInstead: string;
  close: string;
  serverSaid: string;
  troubles: Record<TroubleCode, { title: string; remedy: string }>;
}

export type Tongue = "ja" | "en";
const TONGUES: readonly Tongue[] = ["ja", "en"];

const usual: Tongue = navigator.language.toLowerCase().startsWith("ja") ? "ja" : "en";
export const tongue = signal<Tongue>(remembered("language", usual, TONGUES));
export const words = computed<Words>(() => (tongue.value === "ja" ? ja : en));

effect(() => {
  document.documentElement.lang = tongue.value;
  document.title = words.value.title;
});

export function speakIn(next: Tongue): void {
  tongue.value = next;
  remember("language", next);
}
