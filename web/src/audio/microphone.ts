// The microphone: asks for it, and gives what it hears in pieces of 20 ms. Knows no protocol.

import { trouble } from "../talk/trouble";
import { loudness } from "./pcm";
import { sourceOf } from "./stream";
import workletUrl from "./microphone-worklet.ts?worker&url";

const VOICE_FLOOR = 0.01;

export class Microphone {
  /** When something louder than the floor was last heard, on the clock of `performance.now()`. */
  last_voice_at = 0;

  private constructor(
    readonly stream: MediaStream,
    readonly level: AnalyserNode,
    private readonly parts: { source: MediaStreamAudioSourceNode; node: AudioWorkletNode; own: AudioContext | null },
  ) {}

  /** Raises Trouble, which says what is in the way. */
  static async open(context: AudioContext, take: (piece: Float32Array) => void): Promise<Microphone> {
    const stream = await permitted();
    const { source, own } = sourceOf(context, stream); // in Firefox the worklet resamples
    const at = source.context as AudioContext;
    await at.audioWorklet.addModule(workletUrl);
    const node = new AudioWorkletNode(at, "kaiwa-microphone", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    const level = new AnalyserNode(at, { fftSize: 1024 });
    source.connect(node);
    source.connect(level);
    const microphone = new Microphone(stream, level, { source, node, own });
    node.port.onmessage = (message: MessageEvent<Float32Array>) => {
      if (loudness(message.data) > VOICE_FLOOR) microphone.last_voice_at = performance.now();
      take(message.data);
    };
    return microphone;
  }

  set muted(muted: boolean) {
    for (const track of this.stream.getAudioTracks()) track.enabled = !muted;
  }

  /** Call `lost` when the device is pulled out or the permission taken back. */
  onLost(lost: () => void): void {
    for (const track of this.stream.getAudioTracks()) track.onended = lost;
  }

  close(): void {
    for (const track of this.stream.getTracks()) {
      track.onended = null;
      track.stop();
    }
    this.parts.node.port.close();
    this.parts.source.disconnect();
    void this.parts.own?.close();
  }
}

async function permitted(): Promise<MediaStream> {
  if (!window.isSecureContext) throw trouble("insecure_context");
  if (navigator.mediaDevices === undefined) throw trouble("no_microphone");
  const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    throw trouble(codeOf(error));
  }
}

function codeOf(error: unknown): "microphone_denied" | "no_microphone" | "microphone_busy" {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") return "microphone_denied";
  return name === "NotFoundError" || name === "OverconstrainedError" ? "no_microphone" : "microphone_busy";
}
