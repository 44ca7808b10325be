// One deployment as a picture: bars for what it bears, a row of small bars for how long first tokens took.

import { bar, drawing, level, made, ms, span, spark } from "./forms.js";

const FAULTS = ["refused", "failed", "unauthorized", "unreachable", "timed_out", "cut"];
const HIGH = 36;
const MOST_DOTS = 24;

export function card(one, text) {
  const name = made("h3", "", one.name);
  const badge = made("span", `badge ${one.condition}`, text.conditions[one.condition]);
  const models = made("p", "models soft", `${one.models.join(", ")} · ${text.weight(one.weight)}`);
  const item = made("li", `deployment ${one.condition}`, made("div", "head", name, badge), models);
  item.append(...notes(one, text), load(one, text), streams(one, text), latency(one, text), outcomes(one, text));
  return item;
}

/** Sentences for what is out of the ordinary; mostly none. */
function notes(one, text) {
  const lines = [];
  if (one.reason !== null) lines.push(text.reasons[one.reason] ?? one.reason);
  if (one.retry_in_s !== null) lines.push(text.again(span(one.retry_in_s, text)));
  if (one.trust < 1) lines.push(text.warming(Math.round(one.trust * 100)));
  if (one.last_error !== null) lines.push(text.lastError(one.last_error, span(one.last_error_ago_s, text)));
  return lines.map((line) => made("p", "note", line));
}

function load(one, text) {
  const share = one.utilisation ?? one.pressure;
  const known = one.utilisation !== null || one.remaining_requests !== null || one.remaining_tokens !== null;
  const left = [[text.requests, one.remaining_requests], [text.tokens, one.remaining_tokens]]
    .filter(([, count]) => count !== null)
    .map(([label, count]) => `${label} ${count.toLocaleString()}`);
  if (!known) return row(text.utilisation, text.unknown);
  return row(text.utilisation, `${Math.round(share * 100)}%`, bar([[level(share), share]]), left.join(" · "));
}

/** A dot for every running stream, and empty ones for places that are left. */
function streams(one, text) {
  const value = text.streams(one.running, one.max_concurrent);
  if (one.running === 0 && one.max_concurrent === null) return row(text.running, value);
  const places = Math.min(one.max_concurrent ?? one.running, MOST_DOTS);
  const scale = one.max_concurrent > MOST_DOTS ? MOST_DOTS / one.max_concurrent : 1;
  const taken = Math.min(Math.ceil(one.running * scale), MOST_DOTS);
  const picture = drawing("svg", { viewBox: `0 0 ${MOST_DOTS * 10} 10`, class: "dots", "aria-hidden": "true", preserveAspectRatio: "xMinYMid" });
  for (let i = 0; i < Math.max(places, taken); i += 1) {
    picture.append(drawing("circle", { cx: i * 10 + 5, cy: 5, r: 3.5, class: i < taken ? "taken" : "place" }));
  }
  return row(text.running, value, picture);
}

function latency(one, text) {
  const samples = one.first_tokens_ms;
  const p50 = one.first_token_ms_p50, p95 = one.first_token_ms_p95;
  if (p50 === null) return row(text.firstToken, text.unknown);
  const picture = spark(samples, HIGH, (sample) => (sample > 2.5 * p50 ? "high" : "fine"));
  return row(text.firstToken, text.usual(ms(p50, text), ms(p95, text)), picture);
}

function outcomes(one, text) {
  const count = (...names) => names.reduce((sum, name) => sum + (one.outcomes[name] ?? 0), 0);
  const faults = Math.max(count(...FAULTS) - one.rate_limited - one.rejected, 0);
  const parts = [
    ["good", count("completed")],
    ["left", count("cancelled")],
    ["rejected", one.rejected],
    ["limited", one.rate_limited],
    ["faults", faults],
  ];
  const all = parts.reduce((sum, [, number]) => sum + number, 0);
  if (!all) return row(text.outcomes, text.unknown);
  const legend = made("span", "legend");
  for (const [kind, number] of parts) {
    if (number) legend.append(made("span", kind, `${text.kinds[kind]} ${number.toLocaleString()}`));
  }
  return row(text.outcomes, "", bar(parts.map(([kind, number]) => [kind, number / all])), legend);
}

function row(label, value, picture, under) {
  const line = made("div", "row", made("span", "label", label), made("span", "value", value));
  if (picture) line.append(picture);
  if (under) line.append(made("span", "under", under));
  return line;
}
