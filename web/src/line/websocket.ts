// The WebSocket of the Realtime API: events as text frames, sound inside them.

import { trouble, troubleOf, type Trouble } from "../talk/trouble";
import type { ClientEvent, ServerEvent } from "./events";
import { hereBySocket } from "./here";
import { mint } from "./key";
import { OWN_EVENTS, RESUMABLE, type Address, type Line, type LineEvents } from "./line";

const IN_BAND = ["resume", "event"] as const; // the token comes in the first event
const SLOWEST_BYTES = 4 * 1024 * 1024; // 85 s of sound that did not get away: the server does not read

export async function dialByWebSocket(address: Address, _: MediaStream | null, events: LineEvents): Promise<Line> {
  const url = hereBySocket("v1/realtime");
  url.searchParams.set(...OWN_EVENTS);
  if (address.back === null) {
    url.searchParams.set("model", address.agent);
    url.searchParams.set(...RESUMABLE);
  } else {
    url.searchParams.set(...IN_BAND);
  }
  const key = address.key === null ? null : await mint(address.agent, address.key);
  const socket = new WebSocket(url, key === null ? [] : ["realtime", `openai-insecure-api-key.${key}`]);
  await opened(socket);
  const line = new WebSocketLine(socket, events);
  if (address.back !== null) line.send({ type: "kaiwa.session.resume", ...address.back });
  return line;
}

function opened(socket: WebSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.onopen = () => resolve();
    socket.onerror = () => reject(trouble("server_gone"));
  });
}

class WebSocketLine implements Line {
  readonly carries_sound = false;
  readonly sound = null;
  private refused: Trouble | null = null;

  constructor(
    private readonly socket: WebSocket,
    private readonly events: LineEvents,
  ) {
    socket.onerror = null;
    socket.onmessage = (message: MessageEvent<string>) => this.take(JSON.parse(message.data) as ServerEvent);
    socket.onclose = (close) => events.ended(this.refused ?? troubleOfClose(close));
  }

  send(event: ClientEvent): void {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    if (event.type === "input_audio_buffer.append" && this.socket.bufferedAmount > SLOWEST_BYTES) return;
    this.socket.send(JSON.stringify(event));
  }

  close(): void {
    this.socket.onmessage = this.socket.onclose = null;
    this.socket.close(1000);
  }

  private take(event: ServerEvent): void {
    if (event.type === "error") this.refused = troubleOf(event.error.code, event.error.message) ?? this.refused;
    this.events.received(event);
  }
}

function troubleOfClose(close: CloseEvent): Trouble {
  if (close.code === 1011 || close.code === 1013) return trouble("server_fault", close.reason || null);
  return trouble("server_gone", close.reason || null);
}
