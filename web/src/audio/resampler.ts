// From the rate of a device to another rate, without the tones above the new half rate. Pure; keeps its
// history between calls, so use one for each stream.

const REACH = 16; // input samples to each side at equal rates; Hann-windowed sinc

export class Resampler {
  private readonly step: number;
  private readonly cutoff: number;
  private readonly reach: number;
  private history: Float32Array = new Float32Array(0);
  private position: number;

  constructor(from_hz: number, private readonly to_hz: number) {
    this.step = from_hz / to_hz;
    this.cutoff = Math.min(1, to_hz / from_hz) * 0.94;
    this.reach = Math.ceil(REACH * Math.max(1, this.step));
    this.history = new Float32Array(this.reach);
    this.position = this.reach;
  }

  get rate_hz(): number {
    return this.to_hz;
  }

  take(input: Float32Array): Float32Array {
    if (this.step === 1) return input.slice();
    const all = new Float32Array(this.history.length + input.length);
    all.set(this.history);
    all.set(input, this.history.length);
    const made: number[] = [];
    while (this.position + this.reach < all.length) {
      made.push(this.at(all, this.position));
      this.position += this.step;
    }
    const spent = Math.max(0, Math.floor(this.position) - this.reach);
    this.history = all.slice(spent);
    this.position -= spent;
    return Float32Array.from(made);
  }

  private at(all: Float32Array, position: number): number {
    const first = Math.max(0, Math.ceil(position - this.reach));
    const last = Math.min(all.length - 1, Math.floor(position + this.reach));
    let sum = 0;
    for (let index = first; index <= last; index++) {
      const distance = position - index;
      const x = Math.PI * distance * this.cutoff;
      const sinc = x === 0 ? 1 : Math.sin(x) / x;
      const hann = 0.5 + 0.5 * Math.cos((Math.PI * distance) / this.reach);
      sum += all[index]! * sinc * hann * this.cutoff;
    }
    return sum;
  }
}
