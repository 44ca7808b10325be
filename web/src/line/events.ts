// The events of the Realtime protocol as far as the console reads them. Types only; unknown ones pass by.

export interface ContentPart {
  type: string;
  text?: string;
  transcript?: string | null;
}

export interface Item {
  id: string;
  type: string;
  role?: "user" | "assistant" | "system";
  status?: string;
  content?: ContentPart[];
  name?: string;
  call_id?: string;
  arguments?: string;
  output?: string | null;
  error?: unknown;
}

export interface Usage {
  input_tokens: number;
  output_tokens: number;
  input_token_details: {
    text_tokens: number;
    audio_tokens: number;
    cached_tokens: number;
    cached_tokens_details?: { text_tokens: number; audio_tokens: number };
  };
  output_token_details: { text_tokens: number; audio_tokens: number };
}

export interface ServerError {
  code: string | null;
  message: string;
}

export interface DoneResponse {
  id: string;
  status: string;
  status_details?: { error?: { message?: string } | null } | null;
  usage: Usage | null;
}

type ItemEvent = "conversation.item.added" | "conversation.item.done" | "response.output_item.done";
type AgentWords = "response.output_audio_transcript.delta" | "response.output_text.delta";
type Bare = "session.created" | "session.updated" | "input_audio_buffer.cleared";

export type ServerEvent = { event_id?: string } & Told;

type Told =
  | { type: Bare }
  | { type: "error"; error: ServerError }
  | { type: ItemEvent; item: Item; response_id?: string }
  | { type: "conversation.item.deleted"; item_id: string }
  | { type: "conversation.item.truncated"; item_id: string; audio_end_ms: number }
  | { type: "kaiwa.session.resumable"; token: string; grace_s: number }
  | { type: "kaiwa.session.resumed"; retold: boolean; last_client_event_id: string | null }
  | { type: "kaiwa.item.heard"; item_id: string; transcript: string }
  | { type: "kaiwa.tool.progress"; call_id: string; fraction: number; text: string }
  | { type: "conversation.item.input_audio_transcription.delta"; item_id: string; delta: string }
  | { type: "conversation.item.input_audio_transcription.completed"; item_id: string; transcript: string }
  | { type: "conversation.item.input_audio_transcription.failed"; item_id: string }
  | { type: "input_audio_buffer.speech_started"; item_id: string; audio_start_ms: number }
  | { type: "input_audio_buffer.speech_stopped"; item_id: string; audio_end_ms: number }
  | { type: "input_audio_buffer.committed"; item_id: string }
  | { type: "output_audio_buffer.started" | "output_audio_buffer.stopped" | "output_audio_buffer.cleared"; response_id: string }
  | { type: "response.created"; response: { id: string } }
  | { type: "response.done"; response: DoneResponse }
  | { type: AgentWords; item_id: string; response_id: string; delta: string }
  | { type: "response.output_audio.delta"; item_id: string; response_id: string; delta: string };

/** What the console sends; loosely typed, since it is written in few places. */
export type ClientEvent = { type: string } & Record<string, unknown>;
