// What page and audio thread tell each other about playing. Types only.

export interface Heard {
  item: string;
  samples: number;
}

export type SpeakerOrder =
  | { do: "play"; item: string; samples: Float32Array }
  | { do: "hold" }
  | { do: "resume" }
  | { do: "cut"; cut: number };

export type SpeakerReport =
  | { is: "started"; item: string }
  | { is: "progress"; item: string; samples: number }
  | { is: "emptied"; received: number }
  | { is: "cut"; cut: number; heard: Heard[] };
