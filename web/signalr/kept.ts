// What the page remembers: the talk across visits, and the running answer across a reload of this tab.

export interface Said {
  mine: boolean;
  text: string;
}

interface Kept {
  conversation: string;
  said: Said[];
  cost: number;
  currency: string;
  tokens: number;
}

const NAME = "kaiwa-signalr";
const RUNNING = "kaiwa-signalr-running";
const MOST_SAID = 100;

export function fresh(): Kept {
  return { conversation: random(), said: [], cost: 0, currency: "", tokens: 0 };
}

export function remembered(): Kept {
  try {
    const kept = JSON.parse(localStorage.getItem(NAME) ?? "null") as Kept | null;
    return kept !== null && Array.isArray(kept.said) ? { ...fresh(), ...kept } : fresh();
  } catch {
    return fresh();
  }
}

export function remember(kept: Kept): void {
  kept.said = kept.said.slice(-MOST_SAID);
  store(localStorage, NAME, JSON.stringify(kept));
}

export function running(): string | null {
  try {
    return sessionStorage.getItem(RUNNING);
  } catch {
    return null;
  }
}

export function setRunning(stream: string | null): void {
  store(sessionStorage, RUNNING, stream);
}

function store(place: Storage, name: string, value: string | null): void {
  try {
    if (value === null) place.removeItem(name);
    else place.setItem(name, value);
  } catch {
    // A browser that keeps nothing; the page works without.
  }
}

function random(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
