// One answer of /api/chat-stream, retold as events of the Realtime protocol: words and calls become items, and a
// response ends where a tool begins, so that another question may be put meanwhile. Pure but for its listener.

import type { ServerEvent, Usage } from "./events";

export type Piece =
  | { type: "text"; text: string }
  | { type: "tool_call"; call_id: string; name: string; arguments: string }
  | { type: "tool_progress"; call_id: string; fraction: number; text: string }
  | { type: "tool_result"; call_id: string; output: string }
  | { type: "usage"; input_tokens: number; output_tokens: number; cached_tokens: number }
  | { type: "error"; code: string; message: string }
  | { type: "finish"; reason: string };

export class Answer {
  /** All words so far. */
  text = "";
  private parts = 0;
  private item: string | null = null;
  private response: string;
  private failure: string | null = null;
  private speaking = true;

  constructor(
    private readonly stream: string,
    private readonly tell: (event: ServerEvent) => void,
  ) {
    this.response = `${stream}-0`;
    tell({ type: "response.created", response: { id: this.response } });
  }

  take(piece: Piece): void {
    switch (piece.type) {
      case "text":
        return this.say(piece.text);
      case "tool_call":
        this.end("completed");
        return this.tell({ type: "conversation.item.added", item: { ...piece, id: piece.call_id, type: "function_call" } });
      case "tool_progress":
        return this.tell({ ...piece, type: "kaiwa.tool.progress" });
      case "tool_result":
        return this.tell({ type: "conversation.item.added", item: { ...piece, id: "", type: "function_call_output" } });
      case "usage":
        return this.count(piece);
      case "error":
        this.failure = piece.message;
        return;
      case "finish":
        return this.end(this.failure !== null ? "failed" : piece.reason === "cancelled" ? "cancelled" : "completed");
    }
  }

  private say(text: string): void {
    if (!this.speaking) {
      this.speaking = true;
      this.response = `${this.stream}-${this.parts}`;
      this.tell({ type: "response.created", response: { id: this.response } });
      text = text.replace(/^\n/, ""); // what keeps two sayings apart in one text
    }
    if (this.item === null) {
      this.item = `${this.stream}-item-${(this.parts += 1)}`;
      if (this.text !== "") this.text += "\n";
      this.tell({ type: "conversation.item.added", item: { id: this.item, type: "message", role: "assistant" } });
    }
    this.text += text;
    this.tell({ type: "response.output_text.delta", item_id: this.item, response_id: this.response, delta: text });
  }

  private count(piece: { input_tokens: number; output_tokens: number; cached_tokens: number }): void {
    const { input_tokens, output_tokens, cached_tokens } = piece;
    this.done("completed", {
      input_tokens,
      output_tokens,
      input_token_details: { text_tokens: input_tokens, audio_tokens: 0, cached_tokens },
      output_token_details: { text_tokens: output_tokens, audio_tokens: 0 },
    });
  }

  private end(status: string): void {
    if (this.speaking || status === "failed") this.done(status, null);
  }

  private done(status: string, usage: Usage | null): void {
    if (this.item !== null) {
      this.tell({ type: "conversation.item.done", item: { id: this.item, type: "message", role: "assistant" } });
    }
    this.item = null;
    this.speaking = false;
    const status_details = status === "failed" ? { error: { message: this.failure ?? "" } } : null;
    this.tell({ type: "response.done", response: { id: this.response, status, status_details, usage } });
  }
}
