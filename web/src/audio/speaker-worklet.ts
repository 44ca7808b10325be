// Runs in the audio thread: plays what is queued, says how far it came, and falls silent at once when told:
// for good, or to go on from there.

import type { Heard, SpeakerOrder, SpeakerReport } from "./speaker-messages";

const REPORT_EVERY = 20; // blocks of 128 samples: about 107 ms at 24 kHz
const FADE = 96; // samples: 4 ms, so that a cut does not click

interface Piece {
  item: string;
  samples: Float32Array;
}

class SpeakerWorklet extends AudioWorkletProcessor {
  private queue: Piece[] = [];
  private offset = 0;
  private played = new Map<string, number>();
  private fading: Float32Array | null = null;
  private blocks = 0;
  private received = 0;
  private held = false;

  constructor() {
    super();
    this.port.onmessage = (message: MessageEvent<SpeakerOrder>) => this.obey(message.data);
  }

  process(_inputs: Float32Array[][], outputs: Float32Array[][]): boolean {
    const out = outputs[0]?.[0];
    if (out === undefined) return true;
    this.fill(out);
    this.blocks += 1;
    if (this.blocks % REPORT_EVERY === 0 && this.queue.length > 0) this.progress();
    return true;
  }

  private obey(order: SpeakerOrder): void {
    if (order.do === "cut") this.cut(order.cut);
    else if (order.do === "play") this.push({ item: order.item, samples: order.samples });
    else this.hold(order.do === "hold");
  }

  private hold(held: boolean): void {
    if (held && !this.held) this.fadeOut();
    this.held = held;
  }

  private push(piece: Piece): void {
    const begins = this.queue.length === 0;
    this.received += 1;
    this.queue.push(piece);
    if (!this.played.has(piece.item)) this.played.set(piece.item, 0);
    if (begins) this.say({ is: "started", item: piece.item });
  }

  private cut(cut: number): void {
    const waiting = [...new Set(this.queue.map((piece) => piece.item))];
    const heard: Heard[] = waiting.map((item) => ({ item, samples: this.played.get(item) ?? 0 }));
    if (!this.held) this.fadeOut();
    this.held = false;
    this.queue = [];
    this.offset = 0;
    this.say({ is: "cut", cut, heard });
  }

  private fadeOut(): void {
    const rest = this.queue[0]?.samples.subarray(this.offset, this.offset + FADE);
    this.fading = rest === undefined ? null : rest.map((sample, index) => sample * (1 - index / FADE));
  }

  private fill(out: Float32Array): void {
    out.fill(0);
    if (this.fading !== null) {
      out.set(this.fading.subarray(0, out.length));
      this.fading = null;
    }
    if (this.held) return;
    let done = 0;
    while (done < out.length && this.queue.length > 0) done += this.some(out, done);
  }

  private some(out: Float32Array, from: number): number {
    const piece = this.queue[0]!;
    const count = Math.min(out.length - from, piece.samples.length - this.offset);
    out.set(piece.samples.subarray(this.offset, this.offset + count), from);
    this.offset += count;
    this.played.set(piece.item, (this.played.get(piece.item) ?? 0) + count);
    if (this.offset === piece.samples.length) {
      this.queue.shift();
      this.offset = 0;
      if (this.queue.length === 0) this.emptied(piece.item);
    }
    return count;
  }

  private progress(): void {
    const item = this.queue[0]!.item;
    this.say({ is: "progress", item, samples: this.played.get(item) ?? 0 });
  }

  private emptied(item: string): void {
    this.say({ is: "progress", item, samples: this.played.get(item) ?? 0 });
    this.say({ is: "emptied", received: this.received });
  }

  private say(report: SpeakerReport): void {
    this.port.postMessage(report);
  }
}

registerProcessor("kaiwa-speaker", SpeakerWorklet);
