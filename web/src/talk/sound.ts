// The sound of one talk: its audio context, microphone and loudspeaker, and how loud both are.

import { Microphone } from "../audio/microphone";
import { RATE_HZ } from "../audio/pcm";
import { Speaker, type SpeakerEvents } from "../audio/speaker";
import { StreamPlayer } from "../audio/stream";

export class Sound {
  microphone: Microphone | null = null;
  private incoming: StreamPlayer | null = null;

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

  /** Play what a line carries by itself. */
  async playStream(stream: MediaStream): Promise<void> {
    this.endStream();
    this.incoming = await StreamPlayer.open(this.context, stream);
  }

  endStream(): void {
    this.incoming?.close();
    this.incoming = null;
  }

  /** Fall silent for now, losing nothing. */
  hold(): void {
    this.speaker.hold();
    this.incoming?.order("hold");
  }

  resume(): void {
    this.speaker.resume();
    this.incoming?.order("resume");
  }

  /** Silence what a line carries until the server has stopped speaking; what comes later is played again. */
  drop(): void {
    this.incoming?.order("drop");
    if (!this.speaker.playing) this.speaker.resume();
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
