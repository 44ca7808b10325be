// When the page falls silent before the server tells it to: as soon as the caller's voice is sure, by its
// loudness alone. The server alone knows whether it was an interruption. If it does not say so, the agent goes
// on where it stopped, and the next sound has to be louder: it may have been the agent's own echo. Pure.

const PIECE_MS = 20;
const FLOOR = 0.02;
const CEILING = 0.15;
const WARIER = 1.5;
const SURE_MS = 60;
const OVER_MS = 300;
const LONGEST_MS = 1200;

export type Wish = "hold" | "resume" | null;

export class Manners {
  private floor = FLOOR;
  private loud_ms = 0;
  private quiet_ms = 0;
  private held_ms = 0;
  private held = false;

  /** Judge the next 20 ms of the microphone. */
  hear(level: number, agentSpeaks: boolean): Wish {
    const loud = level > this.floor;
    if (this.held) return this.wait(loud);
    this.loud_ms = agentSpeaks ? Math.max(0, this.loud_ms + (loud ? PIECE_MS : -PIECE_MS)) : 0;
    if (this.loud_ms < SURE_MS) return null;
    this.held = true;
    this.held_ms = this.quiet_ms = 0;
    return "hold";
  }

  /** The server took it for an interruption, or the agent's turn is over. */
  settled(): void {
    this.held = false;
    this.loud_ms = 0;
    this.floor = FLOOR;
  }

  private wait(loud: boolean): Wish {
    this.held_ms += PIECE_MS;
    this.quiet_ms = loud ? 0 : this.quiet_ms + PIECE_MS;
    if (this.quiet_ms < OVER_MS && this.held_ms < LONGEST_MS) return null;
    this.held = false;
    this.loud_ms = 0;
    this.floor = Math.min(CEILING, this.floor * WARIER);
    return "resume";
  }
}
