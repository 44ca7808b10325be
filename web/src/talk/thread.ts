// The thread of a conversation that outlives its line: how to come back to it, and what of ours may not have
// arrived. Pure. The token is a secret: it goes into no address, no record and no storage.

import type { ClientEvent } from "../line/events";
import type { WayBack } from "../line/line";

const KEPT = 64; // more is not under way at once; sound is not among it

export class Thread {
  private token: string | null = null;
  private grace_ms = 0;
  private lost_at: number | null = null;
  private last: string | null = null;
  private sent: ClientEvent[] = [];
  private count = 0;

  /** A new conversation, which nobody can come back to yet. */
  forget(): void {
    this.token = this.last = this.lost_at = null;
    this.sent = [];
  }

  offered(token: string, grace_s: number): void {
    this.token = token;
    this.grace_ms = grace_s * 1000;
  }

  /** Note an event of the server's; whoever comes back names the last one. */
  heard(event_id: string | undefined): void {
    this.last = event_id ?? this.last;
  }

  /** Give an event of ours a name, by which the server says that it arrived. */
  named(event: ClientEvent): ClientEvent {
    const named = { ...event, event_id: `console_${(this.count += 1)}` };
    this.sent = [...this.sent.slice(1 - KEPT), named];
    return named;
  }

  /** The line broke: the server waits from about now on. */
  broke(now: number): void {
    this.lost_at ??= now;
  }

  wayBack(now: number): WayBack | null {
    const late = this.lost_at !== null && now - this.lost_at > this.grace_ms;
    return this.token === null || late ? null : { token: this.token, last_event_id: this.last };
  }

  /** The line holds again: return what was sent behind the last event that arrived. */
  resumed(arrived: string | null): ClientEvent[] {
    this.lost_at = null;
    const at = this.sent.findIndex((event) => event.event_id === arrived);
    const missed = at < 0 && arrived !== null ? [] : this.sent.slice(at + 1);
    this.sent = missed;
    return missed;
  }
}
