// Which of an item's words were heard: words and sound of an answer arrive in turns, a clause and then its
// sound, and inside a clause time is spread evenly over the letters. An estimate, and the server's own.

const ROUNDING_MS = 1;

/** Some letters of text and the sound that followed them. */
export interface Clause {
  letters: number;
  ms: number;
}

export function withText(clauses: Clause[], letters: number): Clause[] {
  const last = clauses.at(-1);
  if (last === undefined || last.ms > 0) return [...clauses, { letters, ms: 0 }];
  return [...clauses.slice(0, -1), { letters: last.letters + letters, ms: 0 }];
}

export function withSound(clauses: Clause[], ms: number): Clause[] {
  const last = clauses.at(-1) ?? { letters: 0, ms: 0 };
  return [...clauses.slice(0, -1), { letters: last.letters, ms: last.ms + ms }];
}

export function lettersHeard(clauses: Clause[], until_ms: number): number {
  let letters = 0;
  let left = until_ms;
  for (const clause of clauses) {
    if (clause.ms === 0 || left <= 0) break;
    letters += left < clause.ms - ROUNDING_MS ? Math.floor((clause.letters * left) / clause.ms) : clause.letters;
    left -= clause.ms;
  }
  return letters;
}

/** Milliseconds of PCM16 at 24 kHz in base64, without decoding it. */
export function msOf(base64: string): number {
  const padding = base64.endsWith("==") ? 2 : base64.endsWith("=") ? 1 : 0;
  return ((base64.length * 3) / 4 - padding) / 48;
}

