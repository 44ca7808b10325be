// The loudspeaker of a WebSocket conversation: plays PCM in order, knows what was heard. No protocol.

import { RATE_HZ } from "./pcm";
import type { Heard, SpeakerOrder, SpeakerReport } from "./speaker-messages";
import workletUrl from "./speaker-worklet.ts?worker&url";

const PATIENCE_MS = 500; // a suspended audio thread answers nothing, and has played nothing either

export interface SpeakerEvents {
  started(item: string): void;
  progress(item: string, played_ms: number): void;
  emptied(): void;
}

export interface HeardUntil {
  item: string;
  played_ms: number;
}

export class Speaker {
  private readonly waiting = new Map<number, (heard: Heard[]) => void>();
  private cuts = 0;
  private sent = 0;
  playing = false;

  private constructor(
    private readonly node: AudioWorkletNode,
    readonly level: AnalyserNode,
    private readonly events: SpeakerEvents,
  ) {
    node.port.onmessage = (message: MessageEvent<SpeakerReport>) => this.take(message.data);
  }

  static async open(context: AudioContext, events: SpeakerEvents): Promise<Speaker> {
    await context.audioWorklet.addModule(workletUrl);
    const node = new AudioWorkletNode(context, "kaiwa-speaker", { numberOfInputs: 0, outputChannelCount: [1] });
    const level = new AnalyserNode(context, { fftSize: 1024 });
    node.connect(level).connect(context.destination);
    return new Speaker(node, level, events);
  }

  play(item: string, samples: Float32Array): void {
    this.playing = true;
    this.sent += 1;
    this.order({ do: "play", item, samples }, [samples.buffer]);
  }

  /** Fall silent for now, losing nothing. */
  hold(): void {
    this.order({ do: "hold" });
  }

  resume(): void {
    this.order({ do: "resume" });
  }

  /** Fall silent; return every item that was not heard to its end, with what was heard of it. */
  async cut(): Promise<HeardUntil[]> {
    this.playing = false;
    const cut = ++this.cuts;
    const heard = await new Promise<Heard[]>((resolve) => {
      this.waiting.set(cut, resolve);
      this.order({ do: "cut", cut });
      setTimeout(() => resolve([]), PATIENCE_MS);
    });
    this.waiting.delete(cut);
    return heard.map(({ item, samples }) => ({ item, played_ms: toMs(samples) }));
  }

  close(): void {
    this.node.disconnect();
    this.node.port.close();
  }

  private order(order: SpeakerOrder, moved: Transferable[] = []): void {
    this.node.port.postMessage(order, moved);
  }

  private emptied(): void {
    this.playing = false;
    this.events.emptied();
  }

  private take(report: SpeakerReport): void {
    if (report.is === "cut") this.waiting.get(report.cut)?.(report.heard);
    else if (report.is === "started") this.events.started(report.item);
    else if (report.is === "progress") this.events.progress(report.item, toMs(report.samples));
    else if (report.received === this.sent) this.emptied();
  }
}

function toMs(samples: number): number {
  return Math.floor((samples * 1000) / RATE_HZ);
}
