// Every way to reach the server, by the name that the server offers it under: how it is dialled, and what may
// be done on it. A new one is a new entry here, its words, and a file that dials it.

import type { Carrier, Mode } from "../talk/choice";
import type { Dial } from "./line";
import { dialBySse } from "./sse";
import { dialByWebRtc } from "./webrtc";
import { dialByWebSocket } from "./websocket";

interface Way {
  dial: Dial;
  modes: readonly Mode[];
}

const SPOKEN: readonly Mode[] = ["open", "press", "typing"];

export const CARRIERS: Record<Carrier, Way> = {
  websocket: { dial: dialByWebSocket, modes: SPOKEN },
  webrtc: { dial: dialByWebRtc, modes: SPOKEN },
  sse: { dial: dialBySse, modes: ["typing"] },
};

/** The ways of this page among those that a server offers: a newer server may know more. */
export function known(offered: readonly string[]): Carrier[] {
  return offered.filter((name): name is Carrier => name in CARRIERS);
}
