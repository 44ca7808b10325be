// What was said and done, in order: the talk as the page shows it. Pure: an event and the time give the next
// list. Knows nothing of sound but how much of it was heard.

import type { Item, ServerEvent } from "../line/events";
import { lettersHeard, msOf, withSound, withText, type Clause } from "./alignment";

export interface Speech {
  is: "speech";
  id: string;
  side: "caller" | "agent";
  text: string;
  /** Words may still come. */
  open: boolean;
  typed: boolean;
  clauses: Clause[];
  /** Milliseconds heard so far; null where the line tells nothing of it. */
  played_ms: number | null;
  /** Interrupted after so long. */
  cut_ms: number | null;
  /** The words heard until then, where the server plays the sound and tells. */
  heard: string | null;
}

export interface ToolUse {
  is: "tool";
  id: string;
  name: string;
  arguments: string;
  output: string | null;
  /** How far it is, where the tool says so. */
  progress: { fraction: number; text: string } | null;
  began_at: number;
  /** Without an output: nobody will tell it any more. */
  settled_at: number | null;
}

export interface Divider {
  is: "divider";
  id: string;
  /** The conversation itself goes on, or another was told what was said in it. */
  what: "resumed" | "reconnected";
}

/** What went wrong without ending the talk, as the server says it. */
export interface Remark {
  is: "remark";
  id: string;
  text: string;
}

export type Entry = Speech | ToolUse | Divider | Remark;

// The answer had ended just before; the page says by itself that the server is gone.
const HARMLESS = new Set(["response_cancel_not_active", "server_shutting_down"]);

export function advance(entries: Entry[], event: ServerEvent, at: number): Entry[] {
  switch (event.type) {
    case "input_audio_buffer.speech_started":
    case "input_audio_buffer.committed":
      return known(entries, event.item_id) ? entries : [...entries, speech(event.item_id, "caller")];
    case "conversation.item.input_audio_transcription.delta":
      return change(entries, event.item_id, (one) => ({ ...one, text: one.text + event.delta }));
    case "conversation.item.input_audio_transcription.completed":
      return change(entries, event.item_id, (one) => ({ ...one, text: event.transcript, open: false }));
    case "conversation.item.input_audio_transcription.failed":
      return change(entries, event.item_id, (one) => ({ ...one, open: false }));
    case "conversation.item.added":
    case "response.output_item.done":
      return withItem(entries, event.item, at);
    case "conversation.item.done":
      return withItem(entries, event.item, at, false);
    case "conversation.item.deleted":
      return entries.filter((one) => one.id !== event.item_id);
    case "conversation.item.truncated":
      return change(entries, event.item_id, (one) => ({ ...one, open: false, cut_ms: event.audio_end_ms }));
    case "kaiwa.item.heard":
      return change(entries, event.item_id, (one) => ({ ...one, heard: event.transcript }));
    case "kaiwa.tool.progress":
      return entries.map((one) => (one.is === "tool" && one.id === event.call_id ? { ...one, progress: event } : one));
    case "response.output_audio_transcript.delta":
    case "response.output_text.delta":
      return change(entries, event.item_id, (one) => ({
        ...one,
        text: one.text + event.delta,
        clauses: withText(one.clauses, event.delta.length),
      }));
    case "response.output_audio.delta":
      return change(entries, event.item_id, (one) => ({ ...one, clauses: withSound(one.clauses, msOf(event.delta)) }));
    case "response.done":
      return event.response.status === "failed" ? remarked(entries, event.response.status_details?.error?.message) : entries;
    case "error":
      return HARMLESS.has(event.error.code ?? "") ? entries : remarked(entries, event.error.message);
    default:
      return entries;
  }
}

function remarked(entries: Entry[], text: string | undefined): Entry[] {
  return [...entries, { is: "remark", id: `remark-${entries.length}`, text: text ?? "" }];
}

export function played(entries: Entry[], id: string, played_ms: number): Entry[] {
  return change(entries, id, (one) => ({ ...one, played_ms }));
}

export function cut(entries: Entry[], id: string, cut_ms: number): Entry[] {
  return change(entries, id, (one) => ({ ...one, played_ms: cut_ms, cut_ms }));
}

/** The line is gone: nothing that was open will be completed. */
export function left(entries: Entry[], at: number): Entry[] {
  const kept = entries.filter((one) => one.is !== "speech" || !one.open || one.text !== "");
  return kept.map((one) => {
    if (one.is === "speech") return { ...one, open: false };
    return one.is === "tool" && one.settled_at === null ? { ...one, settled_at: at } : one;
  });
}

/** How many letters of it were heard so far; null where nobody knows. */
export function heardOf(one: Speech): number | null {
  if (one.heard !== null) return one.text.startsWith(one.heard) ? one.heard.length : null;
  const silent = one.clauses.every((clause) => clause.ms === 0);
  return silent ? null : lettersHeard(one.clauses, one.cut_ms ?? one.played_ms ?? 0);
}

function speech(id: string, side: Speech["side"]): Speech {
  return { is: "speech", id, side, text: "", open: true, typed: false, clauses: [], played_ms: null, cut_ms: null, heard: null };
}

function known(entries: Entry[], id: string): boolean {
  return entries.some((one) => one.id === id);
}

function change(entries: Entry[], id: string, to: (one: Speech) => Speech): Entry[] {
  return entries.map((one) => (one.is === "speech" && one.id === id ? to(one) : one));
}

function withItem(entries: Entry[], item: Item, at: number, open = true): Entry[] {
  if (item.type === "message") return withMessage(entries, item, open);
  if (item.type === "function_call" || item.type === "mcp_call") return withCall(entries, item, at);
  if (item.type === "function_call_output") return settled(entries, item.call_id ?? "", item.output ?? "", at);
  return entries;
}

function withMessage(entries: Entry[], item: Item, open: boolean): Entry[] {
  if (item.role === "assistant") {
    const all = known(entries, item.id) ? entries : [...entries, { ...speech(item.id, "agent"), open }];
    return open ? all : change(all, item.id, (one) => ({ ...one, open: false, text: one.text || wordsOf(item) }));
  }
  const typed = item.content?.find((part) => part.type === "input_text")?.text;
  if (item.role !== "user" || typed === undefined || known(entries, item.id)) return entries;
  return [...entries, { ...speech(item.id, "caller"), text: typed, open: false, typed: true }];
}

/** The words of an item that was missed while they came. */
function wordsOf(item: Item): string {
  return (item.content ?? []).map((part) => part.text ?? part.transcript ?? "").join("");
}

function withCall(entries: Entry[], item: Item, at: number): Entry[] {
  const id = item.call_id ?? item.id;
  const name = item.name ?? "";
  const begun: ToolUse = { is: "tool", id, name, arguments: "", output: null, progress: null, began_at: at, settled_at: null };
  const all = known(entries, id) ? entries : [...entries, begun];
  const written = all.map((one) => (one.is === "tool" && one.id === id ? { ...one, arguments: item.arguments ?? "" } : one));
  const answer = item.error ? JSON.stringify({ error: item.error }) : item.output;
  return item.type === "mcp_call" && answer != null ? settled(written, id, answer, at) : written;
}

function settled(entries: Entry[], id: string, output: string, at: number): Entry[] {
  return entries.map((one) => {
    if (one.is !== "tool" || one.id !== id || one.output !== null) return one;
    return { ...one, output, settled_at: one.settled_at ?? at };
  });
}
