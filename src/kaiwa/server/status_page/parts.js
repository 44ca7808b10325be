// The parts of the status page: each takes the server's answer and gives one section.

import { bar, level, made, money, ms, number, span, spark } from "./forms.js";

const HIGH = 28;
const SHOWN_ERRORS = 12;

export const parts = [overview, processes, sessions, latencies, errors, tools, relay, cost, hubs];

function overview(state, text) {
  const list = made("dl", "tiles");
  const tile = (label, value, className = "", extra = null) => {
    const cell = made("div", "", made("dt", "", label), made("dd", className, value));
    if (extra) cell.append(extra);
    list.append(cell);
  };
  const well = state.not_ready === null;
  tile(text.condition, well ? text.ready : text.notReady[state.not_ready] ?? state.not_ready, well ? "" : "bad");
  tile(text.uptime, span(state.uptime_s, text));
  const { open, most } = state.sessions;
  tile(text.sessions, `${number(open)} / ${number(most)}`, "", bar([[level(open / most), open / most]]));
  tile(text.streams, number(state.relay.running));
  if (state.cost.currency !== null) tile(text.cost, money(state.cost.total, state.cost.currency));
  tile(text.version, state.version);
  if (state.traces !== null) tile(text.traces, `${number(state.traces.delivered)} / ${number(state.traces.lost)}`);
  return section("overview", text.overview, "", [list], "wide");
}

/** Several processes, or the way back to all of them from one; nothing where there is one. */
function processes(state, text) {
  if (state.processes.length === 1) return null;
  if (state.processes.length === 0) {
    const back = made("a", "", text.allProcesses);
    back.href = "?";
    const pool = made("a", "", text.to_pool);
    pool.href = `./pool?process=${state.process}`;
    return section("processes", text.process, state.process, [made("p", "links", back, pool)], "wide");
  }
  const entries = state.processes.map((one) => {
    const link = made("a", "", one.worker === null ? one.process : `${one.process} · ${text.worker(one.worker)}`);
    link.href = `?process=${one.process}`;
    const here = one.process === state.process ? text.here : "";
    const badge = one.state !== "answered" ? ["error", text.processStates[one.state] ?? one.state]
      : one.not_ready === null ? ["free", text.ready] : ["working", text.notReady[one.not_ready] ?? one.not_ready];
    if (one.state !== "answered") {
      const seen = one.seen_ago_s ? text.ago(span(one.seen_ago_s, text)) : null;
      return entry(one.process, one.machine, [[text.seen, seen]], badge);
    }
    return entry(link, [one.machine, here].filter(Boolean).join(" · "), [
      [text.uptime, span(one.uptime_s, text)],
      [text.sessions, `${number(one.sessions)} / ${number(one.most_sessions)}`],
      [text.tools, one.tools ? number(one.tools) : null],
      [text.streams, number(one.streams)],
      [text.errors, one.errors ? number(one.errors) : null],
      [text.version, one.version],
    ], badge);
  });
  return section("processes", text.processes, number(entries.length), listed(entries, "", "columns"), "wide");
}

function latencies(state, text) {
  const entries = state.latencies.filter((one) => one.count).map((one) => {
    const value = text.usual(ms(one.p50_ms, text), ms(one.p95_ms, text));
    return entry(text.steps[one.step], "", [[text.times, number(one.count)], ["", value]], null, spark(one.newest_ms, HIGH));
  });
  return section("latencies", text.latencies, "", listed(entries, text.noTurns));
}

function sessions(state, text) {
  const { open, shown } = state.sessions;
  const entries = shown.map((one) => {
    const facts = [
      [text.age, span(one.age_s, text)],
      [text.answers, number(one.responses)],
      [text.waited, one.waited_ms === null ? null : ms(one.waited_ms, text)],
      [text.tools, one.tools ? number(one.tools) : null],
      [text.tokens, `${number(one.input_tokens)} / ${number(one.output_tokens)}`],
      ["", one.id],
    ];
    const model = one.model === one.agent ? text.doors[one.door] : `${one.model} · ${text.doors[one.door]}`;
    return entry(one.agent || one.model, model, facts, [one.doing, text.doing[one.doing]]);
  });
  const count = open > shown.length ? text.of(shown.length, open) : number(open);
  return section("sessions", text.conversations, count, listed(entries, text.nobody, "columns"), "wide");
}

function tools(state, text) {
  const running = state.tools.shown.map((one) =>
    entry(one.name, "", [[text.age, span(one.age_s, text)], ["", one.session_id]], ["working", text.doing.working]));
  const finished = state.tools.finished.map((one) => {
    const facts = [
      [text.completed, number(one.completed)],
      [text.failed, one.failed ? number(one.failed) : null],
      [text.cancelled, one.cancelled ? number(one.cancelled) : null],
      ["", text.usual(ms(one.p50_ms, text), ms(one.p95_ms, text))],
    ];
    return entry(one.name, "", facts, null, spark(one.newest_ms, HIGH));
  });
  const count = state.tools.running ? text.running(number(state.tools.running)) : "";
  return section("tools", text.tools, count, listed([...running, ...finished], text.noTools));
}

function relay(state, text) {
  const { deployments, ended, running } = state.relay;
  const entries = deployments.map((one) => {
    const first = one.first_token_ms_p50 === null ? null : ms(one.first_token_ms_p50, text);
    const facts = [[text.now, number(one.running)], [text.firstToken, first]];
    return entry(one.name, "", facts, [one.condition, text.conditions[one.condition] ?? one.condition]);
  });
  const reasons = Object.entries(ended).map(([reason, count]) => [text.reasons[reason] ?? reason, number(count)]);
  if (reasons.length) entries.push(made("li", "entry", facts(reasons)));
  return section("relay", text.relay, text.running(number(running)), listed(entries, text.noRelay));
}

function hubs(state, text) {
  const entries = state.hubs.map((one) => entry(one.name, "", [
    [text.connections, number(one.connections)],
    [text.groups, number(one.groups)],
    [text.calls, number(one.called)],
    [text.messages, number(one.sent)],
    [text.tooSlow, one.too_slow ? number(one.too_slow) : null],
  ]));
  return section("hubs", text.hubs, "", listed(entries, text.noHubs));
}

function cost(state, text) {
  const { currency, models, signalr_messages: messages } = state.cost;
  const entries = models.map((one) => entry(one.model, "", [
    [text.cost, currency === null ? null : money(one.cost, currency)],
    [text.tokens, `${number(one.input_tokens)} / ${number(one.output_tokens)}`],
  ]));
  if (messages !== null) {
    entries.push(entry("Azure SignalR Service", "", [
      [text.cost, currency === null ? null : money(messages.cost, currency)],
      [text.messages, number(messages.count)],
    ]));
  }
  const refused = state.limits.map((one) =>
    entry(text.limit(text.kinds[one.kind] ?? one.kind, text.pers[one.per] ?? one.per), "", [[text.refused, number(one.count)]]));
  return section("cost", text.used, "", listed([...entries, ...refused], text.nothingUsed));
}

function errors(state, text) {
  const entries = state.errors.slice(0, SHOWN_ERRORS).map((one) => entry(one.code, text.doors[one.where] ?? one.where, [
    [text.times, number(one.count)],
    [text.last, text.ago(span(one.ago_s, text))],
  ], ["error", text.error]));
  const count = state.errors.length > SHOWN_ERRORS ? text.of(SHOWN_ERRORS, state.errors.length) : "";
  return section("errors", text.errors, count, listed(entries, text.noErrors));
}

// Forms.

function section(id, title, count, content, className = "") {
  const heading = made("h2", "", title);
  heading.id = `${id}-title`;
  if (count) heading.append(made("span", "count", count));
  const part = made("section", className, heading, ...content);
  part.id = id;
  part.setAttribute("aria-labelledby", heading.id);
  return part;
}

function listed(entries, otherwise, className = "") {
  return [entries.length ? made("ul", className, ...entries) : made("p", "empty", otherwise)];
}

function entry(name, about, given, badge = null, picture = null) {
  const title = made("span", "name", name);
  if (about) title.append(" ", made("small", "", about));
  const head = made("div", "head", title);
  if (badge) head.append(made("span", `badge ${badge[0]}`, badge[1]));
  const item = made("li", "entry", head, facts(given));
  if (picture) item.append(picture);
  return item;
}

function facts(given) {
  const line = made("div", "facts");
  for (const [label, value] of given) {
    if (value === null) continue;
    line.append(label ? made("span", "", made("span", "label", label), value) : made("span", "", value));
  }
  return line;
}
