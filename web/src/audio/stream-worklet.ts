// Runs in the audio thread: plays what a call carries. Held, it keeps what comes and goes on from there later,
// leaving out pauses until it is on time again. Dropping, it stays silent until the call itself is.

import type { StreamOrder } from "./stream-messages";

const BLOCKS_PER_S = sampleRate / 128;
const MOST_HELD = Math.ceil(1.5 * BLOCKS_PER_S);
const LONGEST_DROP = Math.ceil(1 * BLOCKS_PER_S);
const SILENCE = Math.ceil(0.04 * BLOCKS_PER_S);
const QUIET = 0.002;

class StreamWorklet extends AudioWorkletProcessor {
  private order: StreamOrder = "resume";
  private waiting: Float32Array[] = [];
  private gain = 1;
  private dropped = 0;
  private quiet = 0;

  constructor() {
    super();
    this.port.onmessage = (message: MessageEvent<StreamOrder>) => this.obey(message.data);
  }

  process(inputs: Float32Array[][], outputs: Float32Array[][]): boolean {
    const heard = inputs[0]?.[0];
    const out = outputs[0]?.[0];
    if (out === undefined) return true;
    if (heard !== undefined) this.waiting.push(heard.slice());
    if (this.waiting.length > MOST_HELD) this.waiting.shift();
    const goal = this.order === "resume" ? 1 : 0;
    if (goal === 1) this.catchUp();
    if (goal === 1 || this.gain > 0) this.play(out, goal);
    if (this.order === "drop") this.drop(heard);
    return true;
  }

  private obey(order: StreamOrder): void {
    this.order = order;
    this.dropped = this.quiet = 0;
  }

  /** Play the next block, fading between silence and sound within it. */
  private play(out: Float32Array, goal: number): void {
    const block = this.waiting.shift();
    if (block !== undefined) {
      const step = (goal - this.gain) / block.length;
      for (let index = 0; index < block.length; index++) out[index] = block[index]! * (this.gain + step * index);
    }
    this.gain = goal;
  }

  private catchUp(): void {
    while (this.waiting.length > 1 && isQuiet(this.waiting[0]!)) this.waiting.shift();
  }

  private drop(heard: Float32Array | undefined): void {
    this.waiting = [];
    this.dropped += 1;
    this.quiet = heard === undefined || isQuiet(heard) ? this.quiet + 1 : 0;
    if (this.quiet >= SILENCE || this.dropped >= LONGEST_DROP) this.obey("resume");
  }
}

function isQuiet(block: Float32Array): boolean {
  return block.every((sample) => Math.abs(sample) < QUIET);
}

registerProcessor("kaiwa-stream", StreamWorklet);
