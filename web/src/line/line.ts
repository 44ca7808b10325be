// A way to reach the server: what the talk needs of it, whatever carries it. Types only.

import type { Trouble } from "../talk/trouble";
import type { ClientEvent, ServerEvent } from "./events";

export interface Line {
  /** Whether the server hears and speaks by the line itself (WebRTC), not by events. */
  readonly carries_sound: boolean;
  /** The agent's sound, when the line carries it. */
  readonly sound: MediaStream | null;
  send(event: ClientEvent): void;
  close(): void;
}

export interface LineEvents {
  received(event: ServerEvent): void;
  /** The line is gone, once; not called after `close`. */
  ended(why: Trouble): void;
}

/** Reach the server. Raises Trouble. `microphone` is for lines that carry sound by themselves. */
export type Dial = (address: Address, microphone: MediaStream | null, events: LineEvents) => Promise<Line>;

/** Asks the server for what only kaiwa tells: progress of tools, and the words that were heard. */
export const OWN_EVENTS = ["kaiwa_events", "on"] as const;

/** Asks the server to keep the conversation for a while when the line breaks. */
export const RESUMABLE = ["resume", "on"] as const;

/** How to come back to a conversation whose line broke. */
export interface WayBack {
  token: string;
  last_event_id: string | null;
}

export interface Address {
  agent: string;
  /** What the server asked for; null where it asks for none. */
  key: string | null;
  /** Null: a new conversation. */
  back: WayBack | null;
}
