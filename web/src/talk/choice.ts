// What a person chose before talking, and what of it is remembered. The key stays in this tab's session.

export type Carrier = "websocket" | "webrtc" | "sse";
export type Mode = "open" | "press" | "typing";

export interface Choice {
  agent: string;
  language: string | null;
  carrier: Carrier;
  mode: Mode;
  key: string | null;
}

const KEY = "kaiwa.key";

export function keptKey(): string {
  return sessionStorage.getItem(KEY) ?? "";
}

export function keepKey(key: string): void {
  if (key === "") sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, key);
}

export function remembered<Value extends string>(name: string, usual: Value, allowed: readonly Value[]): Value {
  const kept = localStorage.getItem(`kaiwa.${name}`) as Value | null;
  return kept !== null && allowed.includes(kept) ? kept : usual;
}

export function remember(name: string, value: string): void {
  localStorage.setItem(`kaiwa.${name}`, value);
}
