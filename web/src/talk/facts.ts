// What the server says about itself to this page.

import { here } from "../line/here";
import type { Prices } from "./cost";
import { trouble } from "./trouble";

export interface AgentFacts {
  name: string;
  language: string | null;
  description: string | null;
}

export interface Facts {
  agents: AgentFacts[];
  agent: string;
  key_required: boolean;
  transports: string[];
  prices: Prices | null;
}

/** Raises Trouble when the server does not answer. */
export async function askFacts(): Promise<Facts> {
  const answer = await fetch(here("console/facts")).catch(() => null);
  if (answer === null || !answer.ok) throw trouble("server_gone");
  return (await answer.json()) as Facts;
}
