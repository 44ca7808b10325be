// One talk with an agent, from the first click to the last: joins line, sound and record. It plays what comes,
// falls silent when the caller speaks, tells the server what was heard, and dials again when the line breaks.

import { signal } from "@preact/signals";
import { fromBase64, fromPcm16, loudness, toBase64, toPcm16 } from "../audio/pcm";
import { CARRIERS } from "../line/carriers";
import type { ClientEvent, ServerEvent } from "../line/events";
import type { Line, LineEvents, WayBack } from "../line/line";
import type { Choice } from "./choice";
import { Manners } from "./manners";
import { retold } from "./memory";
import { Record } from "./record";
import { sessionUpdate, typedMessage } from "./session";
import { Sound } from "./sound";
import { Thread } from "./thread";
import { mayPass, passes, trouble, Trouble } from "./trouble";

export type Stage = "idle" | "dialling" | "talking" | "lost";

const PIECE_MS = 20;
const SHORTEST_MS = 200;
const STEADY_MS = 10_000; // a line that lived so long begins the retries anew
const RETRY_MS = [500, 1000, 2000, 4000, 8000];

export class Talk {
  readonly stage = signal<Stage>("idle");
  readonly trouble = signal<Trouble | null>(null);
  readonly muted = signal(false);
  readonly pressed = signal(false);
  readonly record = new Record();
  readonly choice = signal<Choice | null>(null);
  readonly sound = signal<Sound | null>(null);
  private line: Line | null = null;
  private active = new Set<string>();
  private silenced = new Set<string>();
  private quiet: (() => void)[] = [];
  private pressed_ms = 0;
  private attempt = 0;
  private dialled_at = 0;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private manners = new Manners();
  private thread = new Thread();
  private dialling = false;

  constructor() {
    window.addEventListener("online", () => this.dialAgain());
    window.addEventListener("pagehide", () => this.hangUp()); // a page that is loaded again knows no way back
  }

  /** Begin a talk; what is in the way is in `trouble` afterwards. */
  async start(choice: Choice): Promise<void> {
    this.hangUp();
    this.record.clear();
    this.choice.value = choice;
    this.attempt = 0;
    this.trouble.value = null;
    this.stage.value = "dialling";
    try {
      await this.openSound(choice);
      await this.dial(choice, null);
    } catch (error) {
      this.fail(error);
    }
  }

  /** End the talk; what was said stays on the page. */
  hangUp(): void {
    clearTimeout(this.retry);
    this.line?.close();
    this.line = null;
    this.thread.forget();
    this.gone();
    this.sound.value?.close();
    this.sound.value = null;
    this.muted.value = this.pressed.value = false;
    this.stage.value = "idle";
  }

  async say(text: string): Promise<void> {
    await this.interrupt();
    await this.silence();
    this.record.typed(text);
    this.send(typedMessage(text));
    this.send({ type: "response.create" });
  }

  mute(muted: boolean): void {
    this.muted.value = muted;
    this.openOrCloseTrack();
  }

  press(): void {
    if (this.pressed.value || this.stage.value !== "talking") return;
    this.pressed.value = true;
    this.pressed_ms = 0;
    this.openOrCloseTrack();
    this.send({ type: "input_audio_buffer.clear" });
    void this.interrupt();
  }

  async release(): Promise<void> {
    if (!this.pressed.value) return;
    this.pressed.value = false;
    this.openOrCloseTrack();
    if (this.pressed_ms < SHORTEST_MS || this.line === null) return;
    this.send({ type: "input_audio_buffer.commit" });
    await this.silence();
    this.send({ type: "response.create" });
  }

  /** Dial at once instead of waiting for the next attempt. */
  dialAgain(): void {
    clearTimeout(this.retry);
    void this.redial();
  }

  private async openSound(choice: Choice): Promise<void> {
    this.sound.value = await Sound.open({
      started: () => this.record.started(),
      progress: (item, played_ms) => this.record.played(item, played_ms),
      emptied: () => (this.record.agentSpeaks.value = false),
    });
    if (choice.mode === "typing") return;
    if (this.sound.value === null) throw trouble("insecure_context");
    const microphone = await this.sound.value.listen((piece) => this.hear(piece));
    microphone.onLost(() => this.fail(trouble("microphone_lost")));
    this.openOrCloseTrack();
  }

  /** Reach the server for a new conversation, or `back` in the one that it keeps: that one tells when it goes on. */
  private async dial(choice: Choice, back: WayBack | null): Promise<void> {
    const address = { agent: choice.agent, key: choice.key, back };
    const events: LineEvents = {
      received: (event) => this.take(event),
      ended: (why) => this.lost(why),
    };
    const stream = this.sound.value?.microphone?.stream ?? null;
    const line = await CARRIERS[choice.carrier].dial(address, stream, events);
    if (this.choice.value !== choice || this.stage.value === "idle") return line.close(); // ended meanwhile
    this.line = line;
    this.dialled_at = performance.now();
    if (line.sound !== null) await this.sound.value?.playStream(line.sound);
    if (back !== null) return;
    this.send(sessionUpdate(choice, this.sound.value !== null));
    for (const event of retold(this.record.entries.value)) this.send(event);
    this.stage.value = "talking";
  }

  private lost(why: Trouble): void {
    if (this.line !== null && performance.now() - this.dialled_at > STEADY_MS) this.attempt = 0;
    this.line = null;
    if (!(this.attempt > 0 ? mayPass(why.code) : passes(why.code))) return this.fail(why);
    const refused = why.code === "not_resumable";
    if (refused) this.thread.forget();
    this.thread.broke(performance.now());
    const waits = this.thread.wayBack(performance.now()) !== null;
    if (waits) this.sound.value?.endStream();
    else this.gone();
    this.trouble.value = waits ? trouble("line_lost") : why;
    this.stage.value = "lost";
    const wait_ms = refused ? 0 : RETRY_MS[Math.min(this.attempt, RETRY_MS.length - 1)]!;
    this.attempt += 1;
    this.retry = setTimeout(() => void this.redial(), wait_ms);
  }

  private async redial(): Promise<void> {
    const choice = this.choice.value;
    if (choice === null || this.stage.value !== "lost" || this.dialling) return;
    const back = this.thread.wayBack(performance.now());
    if (back === null) {
      this.thread.forget();
      this.gone();
    }
    this.dialling = true;
    try {
      await this.dial(choice, back);
    } catch (error) {
      this.dialling = false;
      this.lost(asTrouble(error));
      return;
    }
    this.dialling = false;
    if (back !== null) return;
    this.trouble.value = null;
    this.record.reconnected("reconnected");
  }

  /** The server took us back: what it told meanwhile follows, and what of ours did not arrive goes out again. */
  private resumed(retold: boolean, arrived: string | null): void {
    if (retold) {
      this.active.clear();
      this.settleQuiet();
    }
    this.trouble.value = null;
    this.stage.value = "talking";
    this.record.reconnected("resumed");
    for (const event of this.thread.resumed(arrived)) this.line?.send(event);
  }

  private fail(error: unknown): void {
    this.hangUp();
    this.trouble.value = asTrouble(error);
  }

  private gone(): void {
    void this.sound.value?.speaker.cut();
    this.sound.value?.endStream();
    this.manners.settled();
    this.active.clear();
    this.silenced.clear();
    this.settleQuiet();
    this.record.left();
  }

  private send(event: ClientEvent): void {
    const named = this.thread.named(event);
    this.record.sent(named);
    this.line?.send(named);
  }

  private hear(piece: Float32Array): void {
    const open = this.choice.value?.mode === "press" ? this.pressed.value : true;
    if (this.line === null || !open) return;
    this.pressed_ms += PIECE_MS;
    if (this.choice.value?.mode === "open" && !this.muted.value) this.defer(piece);
    if (this.line.carries_sound) return;
    this.line.send({ type: "input_audio_buffer.append", audio: toBase64(toPcm16(piece)) });
  }

  /** Fall silent for the caller's voice before the server has judged it, and go on if it was nothing. */
  private defer(piece: Float32Array): void {
    const wish = this.manners.hear(loudness(piece), this.agentSounds);
    if (wish === "hold") this.sound.value?.hold();
    else if (wish === "resume") this.sound.value?.resume();
  }

  private get agentSounds(): boolean {
    return this.line?.carries_sound ? this.record.agentSpeaks.value : (this.sound.value?.speaker.playing ?? false);
  }

  private openOrCloseTrack(): void {
    const microphone = this.sound.value?.microphone;
    if (microphone == null) return;
    const press = this.choice.value?.mode === "press";
    microphone.muted = this.muted.value || (press && !this.pressed.value);
  }

  private take(event: ServerEvent): void {
    this.thread.heard(event.event_id);
    if (event.type === "kaiwa.session.resumable") return this.thread.offered(event.token, event.grace_s);
    if (event.type === "error" && event.error.code === "server_shutting_down") this.thread.forget();
    this.record.received(event, this.sound.value?.microphone?.last_voice_at ?? 0);
    if (event.type === "kaiwa.session.resumed") this.resumed(event.retold, event.last_client_event_id);
    else if (event.type === "input_audio_buffer.speech_started") void this.fallSilent();
    else if (event.type === "response.created") this.active.add(event.response.id);
    else if (event.type === "response.done") this.ended(event.response.id);
    else if (event.type === "response.output_audio.delta") this.play(event);
  }

  private play(event: { response_id: string; item_id: string; delta: string }): void {
    if (this.silenced.has(event.response_id)) return;
    this.sound.value?.speaker.play(event.item_id, fromPcm16(fromBase64(event.delta)));
  }

  private ended(response: string): void {
    this.active.delete(response);
    if (this.active.size === 0) this.settleQuiet();
  }

  /** Wait until no response is under way, so that another may be asked for. */
  private silence(): Promise<void> {
    return this.active.size === 0 ? Promise.resolve() : new Promise((resolve) => this.quiet.push(resolve));
  }

  private settleQuiet(): void {
    for (const resolve of this.quiet.splice(0)) resolve();
  }

  /** Stop the agent on the caller's wish. */
  private async interrupt(): Promise<void> {
    if (this.active.size > 0) this.send({ type: "response.cancel" });
    if (this.line?.carries_sound) this.send({ type: "output_audio_buffer.clear" });
    await this.fallSilent();
  }

  /** Stop playing, and tell the server what was heard. On WebRTC the server knows. */
  private async fallSilent(): Promise<void> {
    for (const response of this.active) this.silenced.add(response);
    this.manners.settled();
    this.sound.value?.drop();
    const speaker = this.sound.value?.speaker;
    if (this.line === null || this.line.carries_sound || speaker === undefined || !speaker.playing) return;
    this.record.agentSpeaks.value = false;
    for (const { item, played_ms } of await speaker.cut()) {
      this.record.cut(item, played_ms);
      this.send({ type: "conversation.item.truncate", item_id: item, content_index: 0, audio_end_ms: played_ms });
    }
  }
}

function asTrouble(error: unknown): Trouble {
  return error instanceof Trouble ? error : trouble("server_fault", error instanceof Error ? error.message : null);
}
