// A WebRTC call: sound by the peer connection, events by its data channel. The server truncates by itself.

import { trouble, troubleOf, type Trouble } from "../talk/trouble";
import type { ClientEvent, ServerEvent } from "./events";
import { here } from "./here";
import { OWN_EVENTS, RESUMABLE, type Address, type Line, type LineEvents } from "./line";

const PATIENCE_MS = 10_000;
const RECOVERY_MS = 4000; // a network that changed; the server gives a call up after 8 s

export async function dialByWebRtc(address: Address, microphone: MediaStream | null, events: LineEvents): Promise<Line> {
  const peer = new RTCPeerConnection();
  try {
    return await dialled(peer, address, microphone, events);
  } catch (error) {
    peer.close();
    throw error;
  }
}

async function dialled(
  peer: RTCPeerConnection,
  address: Address,
  microphone: MediaStream | null,
  events: LineEvents,
): Promise<Line> {
  const line = new WebRtcLine(peer, peer.createDataChannel("oai-events"), events);
  const track = microphone?.getAudioTracks()[0];
  if (track === undefined || microphone === null) peer.addTransceiver("audio", { direction: "recvonly" });
  else peer.addTrack(track, microphone);
  const sound = new Promise<void>((resolve) => {
    peer.ontrack = (event) => {
      line.sound = event.streams[0] ?? new MediaStream([event.track]);
      resolve();
    };
  });
  await peer.setLocalDescription();
  await peer.setRemoteDescription({ type: "answer", sdp: await answer(address, peer.localDescription!.sdp) });
  await inTime(Promise.all([sound, line.open]));
  return line;
}

async function answer(address: Address, sdp: string): Promise<string> {
  const url = here("v1/realtime/calls");
  url.searchParams.set(...OWN_EVENTS);
  const headers: Record<string, string> = { "Content-Type": "application/sdp" };
  if (address.back === null) {
    url.searchParams.set("model", address.agent);
    url.searchParams.set(...RESUMABLE);
  } else {
    headers["x-kaiwa-resume"] = address.back.token;
    if (address.back.last_event_id !== null) url.searchParams.set("last_event_id", address.back.last_event_id);
  }
  if (address.key !== null) headers["Authorization"] = `Bearer ${address.key}`;
  const reply = await fetch(url, { method: "POST", headers, body: sdp }).catch(() => null);
  if (reply === null) throw trouble("server_gone");
  const text = await reply.text();
  if (reply.ok) return text;
  throw refusal(text, reply.status);
}

function refusal(text: string, status: number): Trouble {
  try {
    const { error } = JSON.parse(text) as { error: { code: string | null; message: string } };
    return troubleOf(error.code, error.message) ?? trouble("webrtc_failed", error.message);
  } catch {
    return trouble("webrtc_failed", String(status));
  }
}

async function inTime(done: Promise<unknown>): Promise<void> {
  const late = new Promise<never>((_, reject) => setTimeout(() => reject(trouble("webrtc_failed")), PATIENCE_MS));
  await Promise.race([done, late]);
}

class WebRtcLine implements Line {
  readonly carries_sound = true;
  sound: MediaStream | null = null;
  readonly open: Promise<void>;
  private closed = false;
  private recovery: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly peer: RTCPeerConnection,
    private readonly channel: RTCDataChannel,
    private readonly events: LineEvents,
  ) {
    this.open = new Promise((resolve) => (channel.onopen = () => resolve()));
    channel.onmessage = (message: MessageEvent<string>) => events.received(JSON.parse(message.data) as ServerEvent);
    channel.onclose = () => this.end();
    peer.onconnectionstatechange = () => this.follow(peer.connectionState);
  }

  send(event: ClientEvent): void {
    if (this.channel.readyState === "open") this.channel.send(JSON.stringify(event));
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.recovery);
    this.channel.close();
    this.peer.close();
  }

  private follow(state: RTCPeerConnectionState): void {
    clearTimeout(this.recovery);
    if (state === "failed" || state === "closed") this.end();
    else if (state === "disconnected") this.recovery = setTimeout(() => this.end(), RECOVERY_MS);
  }

  private end(): void {
    if (this.closed) return;
    this.close();
    this.events.ended(trouble("server_gone"));
  }
}
