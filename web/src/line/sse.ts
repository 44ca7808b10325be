// Text by server-sent events: every question is a POST, its answer a typed stream. What a stream tells is
// retold as events of the Realtime protocol, so that the talk knows one language only.

import { trouble, troubleOf, type Trouble } from "../talk/trouble";
import { Answer, type Piece } from "./answer";
import type { ClientEvent, ServerEvent } from "./events";
import { here } from "./here";
import type { Address, Line, LineEvents } from "./line";
import { EventStream } from "./stream";

const RETRY_MS = [300, 1000, 3000];
const KEPT_MESSAGES = 200;

interface Message {
  role: "user" | "assistant";
  content: string;
}

export async function dialBySse(address: Address, _: MediaStream | null, events: LineEvents): Promise<Line> {
  const reached = await fetch(here("healthz")).catch(() => null);
  if (reached === null) throw trouble("server_gone");
  return new SseLine(address, events);
}

class SseLine implements Line {
  readonly carries_sound = false;
  readonly sound = null;
  private readonly conversation = random();
  private readonly left = new AbortController();
  private readonly running = new Set<string>();
  private history: Message[] = [];
  private asked: Message[] = [];
  private questions = 0;

  constructor(
    private readonly address: Address,
    private readonly events: LineEvents,
  ) {}

  send(event: ClientEvent): void {
    if (event.type === "conversation.item.create") this.remember(event.item as Told);
    else if (event.type === "response.create") void this.ask();
    else if (event.type === "response.cancel") for (const stream of this.running) void this.stop(stream);
  }

  close(): void {
    this.left.abort();
  }

  private remember(item: Told): void {
    const content = (item.content ?? []).map((part) => part.text ?? "").join("");
    if (content === "" || (item.role !== "user" && item.role !== "assistant")) return;
    if (item.id !== undefined) {
      this.history.push({ role: item.role, content });
      return;
    }
    this.asked.push({ role: item.role, content });
    const id = `asked-${this.conversation}-${(this.questions += 1)}`;
    const shown = [{ type: "input_text", text: content }];
    this.tell({ type: "conversation.item.added", item: { id, type: "message", role: item.role, content: shown } });
  }

  /** Put the question, and follow its answer to the end, over as many connections as it takes. */
  private async ask(): Promise<void> {
    const asked = this.asked;
    this.asked = [];
    const messages = [...this.history, ...asked];
    const body = { messages, agent: this.address.agent, conversation_id: this.conversation, events: "typed", resume: true };
    const first = await this.request("POST", "api/chat-stream", { "Content-Type": "application/json" }, JSON.stringify(body));
    if (first === null) return this.end(trouble("server_gone"));
    if (!first.ok) return this.refused(first);
    const stream = first.headers.get("x-stream-id") ?? "";
    const answer = new Answer(stream, (event) => this.tell(event));
    this.running.add(stream);
    const whole = await this.follow(stream, first, answer);
    this.running.delete(stream);
    if (!whole) return this.end(trouble("server_gone"));
    if (answer.text !== "") this.history = [...this.history, ...asked, { role: "assistant" as const, content: answer.text }].slice(-KEPT_MESSAGES);
  }

  private async follow(stream: string, first: Response, answer: Answer): Promise<boolean> {
    let response: Response | null = first;
    let last = "";
    for (let attempt = 0; ; attempt += 1) {
      const events = new EventStream();
      if (response?.ok && (await this.read(response, events, (event) => {
        last = event.id || last;
        attempt = 0;
        if (event.data !== "[DONE]") answer.take(JSON.parse(event.data) as Piece);
        return event.data === "[DONE]";
      }))) return true;
      if (this.left.signal.aborted || response?.status === 404 || attempt >= RETRY_MS.length) return this.left.signal.aborted;
      await new Promise((wait) => setTimeout(wait, RETRY_MS[attempt]));
      response = await this.request("GET", `api/chat-stream/${stream}`, last === "" ? {} : { "Last-Event-ID": last });
    }
  }

  /** Read a response to its end or to where it breaks; whether the answer is whole. */
  private async read(response: Response, events: EventStream, take: (event: { id: string; data: string }) => boolean): Promise<boolean> {
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return false;
        for (const event of events.feed(value)) if (take(event)) return true;
      }
    } catch {
      return false;
    }
  }

  private async stop(stream: string): Promise<void> {
    await this.request("DELETE", `api/streams/${stream}`, {});
  }

  private request(method: string, path: string, headers: Record<string, string>, body?: string): Promise<Response | null> {
    if (this.address.key !== null) headers = { ...headers, Authorization: `Bearer ${this.address.key}` };
    return fetch(here(path), { method, headers, body, signal: this.left.signal }).catch(() => null);
  }

  private async refused(response: Response): Promise<void> {
    const told = (await response.json().catch(() => ({}))) as { error?: { code: string | null; message: string } };
    const { code = null, message = String(response.status) } = told.error ?? {};
    const known = troubleOf(code, message);
    if (known !== null) this.end(known);
    else this.tell({ type: "error", error: { code, message } });
  }

  private tell(event: ServerEvent): void {
    if (!this.left.signal.aborted) this.events.received(event);
  }

  private end(why: Trouble): void {
    if (this.left.signal.aborted) return;
    this.left.abort();
    this.events.ended(why);
  }
}

interface Told {
  id?: string;
  role?: string;
  content?: { text?: string }[];
}

function random(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
