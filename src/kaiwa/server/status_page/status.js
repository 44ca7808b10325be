// How the house is, every two seconds. Knows GET /api/status and nothing else of the server.

import { show } from "./page.js";
import { parts } from "./parts.js";
import { words } from "./words.js";

const chosen = new URLSearchParams(location.search).get("process");
let wasReady = null;
let knownErrors = null;

show({
  address: chosen === null ? "./api/status" : `./api/status?process=${encodeURIComponent(chosen)}`,
  everyMs: 2000,
  words,
  sum(state, text) {
    return text.sum(state.sessions.open, state.tools.running, state.relay.running);
  },
  trouble(state, text) {
    return state.relay.trouble === null ? "" : `${text.oldSettings} ${state.relay.trouble}`;
  },
  parts(state, text) {
    return parts.map((part) => part(state, text)).filter((part) => part !== null);
  },
  news(state, text) {
    const said = [];
    const ready = state.not_ready === null;
    if (wasReady !== null && wasReady !== ready) {
      said.push(ready ? text.ready : text.notReady[state.not_ready] ?? state.not_ready);
    }
    wasReady = ready;
    const kinds = new Map(state.errors.map((one) => [`${one.code} ${one.where}`, one]));
    for (const [kind, one] of kinds) {
      if (knownErrors?.has(kind) === false) said.push(`${text.error}: ${one.code}, ${text.doors[one.where] ?? one.where}`);
    }
    knownErrors = new Set(kinds.keys());
    return said.join(" ");
  },
});
