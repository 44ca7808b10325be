// What the page tells the audio thread about the sound of a call. Types only.

/** `hold`: fall silent, and keep what comes; `resume`: go on from there; `drop`: forget it until a silence. */
export type StreamOrder = "hold" | "resume" | "drop";
