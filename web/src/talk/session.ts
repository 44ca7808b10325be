// The settings that the console asks for when a talk begins.

import type { ClientEvent } from "../line/events";
import type { Choice } from "./choice";

export function sessionUpdate(choice: Choice, audible: boolean): ClientEvent {
  const transcription = { model: "whisper-1", ...(choice.language === null ? {} : { language: choice.language }) };
  const turn_detection = choice.mode === "open" ? { type: "semantic_vad" } : null;
  const session = {
    type: "realtime",
    output_modalities: [audible ? "audio" : "text"],
    audio: { input: { transcription, turn_detection } },
  };
  return { type: "session.update", session };
}

export function typedMessage(text: string): ClientEvent {
  const content = [{ type: "input_text", text }];
  return { type: "conversation.item.create", item: { type: "message", role: "user", content } };
}
