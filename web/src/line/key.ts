// From the key that a person typed to one that may stand in a WebSocket's protocols: an ephemeral one, which
// is worth nothing minutes later. The typed key travels in a header only, never in an address.

import { trouble, troubleOf } from "../talk/trouble";
import { here } from "./here";

export async function mint(agent: string, key: string): Promise<string> {
  const answer = await asked(agent, key);
  const body = (await answer.json().catch(() => ({}))) as { value?: string; error?: { code: string; message: string } };
  if (body.value !== undefined) return body.value;
  const error = body.error;
  throw troubleOf(error?.code ?? null, error?.message) ?? trouble("server_fault", error?.message ?? String(answer.status));
}

async function asked(agent: string, key: string): Promise<Response> {
  if (/[^\x21-\x7e]/.test(key)) throw trouble("wrong_key"); // cannot stand in a header
  try {
    return await fetch(here("v1/realtime/client_secrets"), {
      method: "POST",
      headers: { "Authorization": `Bearer ${key}`, "Content-Type": "application/json" },
      body: JSON.stringify({ session: { type: "realtime", model: agent } }),
    });
  } catch {
    throw trouble("server_gone");
  }
}
