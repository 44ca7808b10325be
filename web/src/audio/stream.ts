// The sound of a call: plays a stream that the line carries, and can hold it back. No protocol.

import type { StreamOrder } from "./stream-messages";
import workletUrl from "./stream-worklet.ts?worker&url";

export class StreamPlayer {
  private constructor(
    private readonly element: HTMLAudioElement,
    private readonly source: MediaStreamAudioSourceNode,
    private readonly node: AudioWorkletNode,
    readonly level: AnalyserNode,
    private readonly own: AudioContext | null,
  ) {}

  static async open(context: AudioContext, stream: MediaStream): Promise<StreamPlayer> {
    const { source, own } = sourceOf(context, stream);
    const at = source.context as AudioContext;
    await at.audioWorklet.addModule(workletUrl);
    const node = new AudioWorkletNode(at, "kaiwa-stream", { outputChannelCount: [1], channelCount: 1, channelCountMode: "explicit" });
    const level = new AnalyserNode(at, { fftSize: 1024 });
    source.connect(node).connect(level).connect(at.destination);
    // Chromium lets a call's stream flow only while an element plays it; what is heard comes from the nodes.
    const element = new Audio();
    element.muted = true;
    element.srcObject = stream;
    await element.play();
    return new StreamPlayer(element, source, node, level, own);
  }

  order(order: StreamOrder): void {
    this.node.port.postMessage(order);
  }

  close(): void {
    this.element.srcObject = null;
    this.source.disconnect();
    this.node.disconnect();
    this.node.port.close();
    void this.own?.close();
  }
}

/** Firefox takes a stream only into a context of its own rate. */
export function sourceOf(context: AudioContext, stream: MediaStream): { source: MediaStreamAudioSourceNode; own: AudioContext | null } {
  try {
    return { source: context.createMediaStreamSource(stream), own: null };
  } catch {
    const own = new AudioContext();
    void own.resume();
    return { source: own.createMediaStreamSource(stream), own };
  }
}
