// The newest raw events of both directions, for whoever wants to see them. Sound is named, not kept.

export interface Traced {
  number: number;
  at: number;
  way: "sent" | "received";
  type: string;
  json: string;
}

const MOST = 1000;
const SOUND = new Set(["input_audio_buffer.append", "response.output_audio.delta"]);

export function traced(trace: Traced[], way: Traced["way"], event: { type: string }, at: number): Traced[] {
  if (event.type === "input_audio_buffer.append") return trace; // fifty a second would hide all others
  const json = JSON.stringify(shown(event), null, 1);
  const number = (trace.at(-1)?.number ?? 0) + 1;
  return [...trace.slice(-(MOST - 1)), { number, at, way, type: event.type, json }];
}

function shown(event: { type: string }): object {
  if (!SOUND.has(event.type)) return event;
  const { delta } = event as { type: string; delta?: string };
  return { ...event, delta: `<${delta?.length ?? 0}>` };
}
