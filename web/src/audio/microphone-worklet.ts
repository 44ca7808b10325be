// Runs in the audio thread: what the microphone hears leaves it in pieces of 20 ms at 24 kHz.

import { Resampler } from "./resampler";

const PIECE = 480;

class MicrophoneWorklet extends AudioWorkletProcessor {
  private readonly resampler = new Resampler(sampleRate, 24_000);
  private piece = new Float32Array(PIECE);
  private filled = 0;

  process(inputs: Float32Array[][]): boolean {
    const heard = inputs[0]?.[0];
    if (heard !== undefined) this.resampler.take(heard).forEach((sample) => this.add(sample));
    return true;
  }

  private add(sample: number): void {
    this.piece[this.filled++] = sample;
    if (this.filled < PIECE) return;
    this.port.postMessage(this.piece, [this.piece.buffer]);
    this.piece = new Float32Array(PIECE);
    this.filled = 0;
  }
}

registerProcessor("kaiwa-microphone", MicrophoneWorklet);
