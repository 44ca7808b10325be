// What an agent that knows nothing is told after the line broke: the talk so far, as items of a new conversation.
// Of the agent's words only those that were heard. Pure; to be replaced where a server keeps the conversation.

import type { ClientEvent } from "../line/events";
import { heardOf, type Entry, type Speech, type ToolUse } from "./entries";

const MOST = 200;
const UNKNOWN = JSON.stringify({
  error: "The connection was lost before the result arrived. It is not known whether this was carried out.",
});

export function retold(entries: Entry[]): ClientEvent[] {
  return entries.slice(-MOST).flatMap(itemsOf).map((item) => ({ type: "conversation.item.create", item }));
}

function itemsOf(entry: Entry): object[] {
  if (entry.is === "speech") return said(entry);
  return entry.is === "tool" ? used(entry) : [];
}

function said(one: Speech): object[] {
  const text = one.text.slice(0, heardOf(one) ?? one.text.length);
  if (text === "") return [];
  const [role, type] = one.side === "caller" ? ["user", "input_text"] : ["assistant", "output_text"];
  return [{ id: one.id, type: "message", role, content: [{ type, text }] }];
}

function used(one: ToolUse): object[] {
  const call = { type: "function_call", call_id: one.id, name: one.name, arguments: one.arguments };
  return [call, { type: "function_call_output", call_id: one.id, output: one.output ?? UNKNOWN }];
}
