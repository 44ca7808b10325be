// The sound of one talk: its audio context, microphone and loudspeaker, and how loud both are.

import { Microphone } from "../audio/microphone";
import { RATE_HZ } from "../audio/pcm";
import { Speaker, type SpeakerEvents } from "../audio/speaker";

export class Sound {
  microphone: Microphone | null = null;
  private incoming: { element: HTMLAudioElement; level: AnalyserNode } | null = null;

  private constructor(
    private readonly context: AudioContext,
    readonly speaker: Speaker,
  ) {}

  /** Null where the browser gives pages no sound: on an insecure address. Call it in a click. */
  static async open(events: SpeakerEvents): Promise<Sound | null> {
    if (!window.isSecureContext) return null;
    const context = new AudioContext({ sampleRate: RATE_HZ, latencyHint: "interactive" });
    await context.resume();
    return new Sound(context, await Speaker.open(context, events));
  }

  async listen(take: (piece: Float32Array) => void): Promise<Microphone> {
    this.microphone ??= await Microphone.open(this.context, take);
    return this.microphone;
  }

  /** Play what a line carries by itself. A stream reaches an analyser only while an element plays it. */
  async playStream(stream: MediaStream): Promise<void> {
    this.endStream();
    const element = new Audio();
    element.srcObject = stream;
    const level = new AnalyserNode(this.context, { fftSize: 1024 });
    this.context.createMediaStreamSource(stream).connect(level);
    this.incoming = { element, level };
    await element.play();
  }

  endStream(): void {
    if (this.incoming !== null) this.incoming.element.srcObject = null;
    this.incoming = null;
  }

  get callerLevel(): AnalyserNode | null {
    return this.microphone?.level ?? null;
  }

  get agentLevel(): AnalyserNode {
    return this.incoming?.level ?? this.speaker.level;
  }

  close(): void {
    this.endStream();
    this.microphone?.close();
    this.speaker.close();
    void this.context.close();
  }
}
