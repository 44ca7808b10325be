// Tokens so far and, where the server has a price list, money. Pure.

import type { ServerEvent, Usage } from "../line/events";

/** Prices of a million tokens, as the server's settings name them. */
export interface Prices {
  currency: string;
  text_input: number;
  text_input_cached: number;
  audio_input: number;
  audio_input_cached: number;
  text_output: number;
  audio_output: number;
}

export type Kind = Exclude<keyof Prices, "currency">;
export type Tokens = Record<Kind, number>;

export const NO_TOKENS: Tokens = {
  text_input: 0,
  text_input_cached: 0,
  audio_input: 0,
  audio_input_cached: 0,
  text_output: 0,
  audio_output: 0,
};
export const KINDS = Object.keys(NO_TOKENS) as Kind[];

export function spent(tokens: Tokens, event: ServerEvent): Tokens {
  if (event.type !== "response.done" || !event.response.usage) return tokens;
  const more = tokensOf(event.response.usage);
  return Object.fromEntries(KINDS.map((kind) => [kind, tokens[kind] + more[kind]])) as Tokens;
}

export function priceOf(tokens: Tokens, prices: Prices): number {
  return KINDS.reduce((sum, kind) => sum + (tokens[kind] * prices[kind]) / 1_000_000, 0);
}

function tokensOf(usage: Usage): Tokens {
  const input = usage.input_token_details;
  const cached = input.cached_tokens_details ?? { text_tokens: input.cached_tokens, audio_tokens: 0 };
  return {
    text_input: input.text_tokens - cached.text_tokens,
    text_input_cached: cached.text_tokens,
    audio_input: input.audio_tokens - cached.audio_tokens,
    audio_input_cached: cached.audio_tokens,
    text_output: usage.output_token_details.text_tokens,
    audio_output: usage.output_token_details.audio_tokens,
  };
}
