// What can go wrong, by code; the words are in `words/`. `detail` is what the server or browser said.

export type TroubleCode =
  | "microphone_denied"
  | "no_microphone"
  | "microphone_busy"
  | "microphone_lost"
  | "insecure_context"
  | "wrong_key"
  | "foreign_origin"
  | "line_lost"
  | "not_resumable"
  | "server_gone"
  | "server_busy"
  | "limit_reached"
  | "no_such_agent"
  | "session_over"
  | "server_fault"
  | "webrtc_failed";

export class Trouble extends Error {
  constructor(
    readonly code: TroubleCode,
    readonly detail: string | null,
  ) {
    super(code);
  }
}

export function trouble(code: TroubleCode, detail: string | null = null): Trouble {
  return new Trouble(code, detail);
}

const CODES: Record<string, TroubleCode> = {
  invalid_api_key: "wrong_key",
  insufficient_permissions: "foreign_origin",
  server_busy: "server_busy",
  model_not_found: "no_such_agent",
  session_expired: "session_over",
  rate_limit_exceeded: "limit_reached",
  insufficient_quota: "limit_reached",
  server_shutting_down: "server_gone",
  session_not_resumable: "not_resumable",
  session_not_a_call: "not_resumable",
};

/** The trouble behind an error code of the protocol; null for one that does not end the talk. */
export function troubleOf(code: string | null, detail: string | null = null): Trouble | null {
  const known = CODES[code ?? ""];
  return known === undefined ? null : trouble(known, detail);
}

/** Whether it may help to go on trying to reach a server that was reached before. */
export function mayPass(code: TroubleCode): boolean {
  return passes(code) || code === "webrtc_failed" || code === "server_busy";
}

/** Whether trying again by itself may help. */
export function passes(code: TroubleCode): boolean {
  return code === "server_gone" || code === "server_fault" || code === "not_resumable";
}
