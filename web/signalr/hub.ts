// The line to the hub: negotiated at `/api/negotiate`, kept up, and asked over `/api/chat_stream`.

import { HubConnectionBuilder, HubConnectionState, LogLevel, type HubConnection } from "@microsoft/signalr";

const AGAIN_MS = 3000;

export type State = "connecting" | "connected" | "reconnecting" | "gone" | "wrong_key";

export interface Outcome {
  ok: boolean;
  usage?: { input_tokens: number; output_tokens: number };
  cost?: number;
  currency?: string;
}

interface Listener {
  state(state: State): void;
  token(text: string): void;
  /** The line is another one now: what was under way has to be joined. */
  anew(): void;
}

export class Hub {
  private connection: HubConnection | null = null;
  private again = 0;

  constructor(
    private readonly base: string,
    private readonly key: string,
    private readonly listener: Listener,
  ) {}

  get connectionId(): string | null {
    return this.connection?.connectionId ?? null;
  }

  async open(): Promise<void> {
    this.listener.state("connecting");
    try {
      const given = await this.negotiated();
      if (given === null) return;
      const made = this.made(given.url, given.accessToken);
      this.connection = made;
      await made.start();
    } catch {
      this.later();
      return;
    }
    this.listener.state("connected");
    this.listener.anew();
  }

  async close(): Promise<void> {
    clearTimeout(this.again);
    const connection = this.connection;
    this.connection = null;
    await connection?.stop();
  }

  /** Post a question. `began` is told the stream's id as soon as the server names it. */
  async ask(prompt: string, conversation: string, began: (stream: string) => void): Promise<Outcome> {
    const body = { prompt, connectionId: this.connectionId, conversation_id: conversation };
    const answer = await fetch(`${this.base}/api/chat_stream`, {
      method: "POST",
      headers: { ...this.headers(), "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const stream = answer.headers.get("x-stream-id");
    if (stream !== null) began(stream);
    const told = (await answer.json()) as Outcome & { error?: { message: string } };
    if (!answer.ok) throw new Error(told.error?.message ?? String(answer.status));
    return told;
  }

  /** Follow an answer from its beginning; false when it is no longer there. */
  join(stream: string, words: (text: string) => void): Promise<boolean> {
    const connection = this.connection;
    if (connection?.state !== HubConnectionState.Connected) return Promise.resolve(false);
    return new Promise((resolve) => {
      connection.stream<string>("join", stream).subscribe({
        next: words,
        complete: () => resolve(true),
        error: () => resolve(false),
      });
    });
  }

  private made(url: string, token: string): HubConnection {
    const made = new HubConnectionBuilder()
      .withUrl(url, { accessTokenFactory: () => token, withCredentials: false })
      .withAutomaticReconnect([0, 1000, 3000])
      .withStatefulReconnect()
      .configureLogging(LogLevel.None)
      .build();
    made.on("token", (text: string) => this.listener.token(text));
    made.onreconnecting(() => this.listener.state("reconnecting"));
    made.onreconnected(() => {
      this.listener.state("connected");
      this.listener.anew();
    });
    made.onclose(() => {
      if (this.connection === made) this.later();
    });
    return made;
  }

  private async negotiated(): Promise<{ url: string; accessToken: string } | null> {
    const answer = await fetch(`${this.base}/api/negotiate`, { method: "POST", headers: this.headers() });
    if (answer.status === 401 || answer.status === 403) {
      this.listener.state("wrong_key");
      return null;
    }
    if (!answer.ok) throw new Error(String(answer.status));
    return (await answer.json()) as { url: string; accessToken: string };
  }

  private headers(): Record<string, string> {
    return this.key === "" ? {} : { authorization: `Bearer ${this.key}` };
  }

  private later(): void {
    this.listener.state("gone");
    clearTimeout(this.again);
    this.again = window.setTimeout(() => void this.open(), AGAIN_MS);
  }
}
