// How every deployment stands, once a second. Knows GET /api/pool and nothing else of the server.

import { card } from "./card.js";
import { made } from "./forms.js";
import { show } from "./page.js";
import { words } from "./words.js";

const chosen = new URLSearchParams(location.search).get("process");
const conditions = new Map();
const cards = new Map();

show({
  address: chosen === null ? "./api/pool" : `./api/pool?process=${encodeURIComponent(chosen)}`,
  everyMs: 1000,
  words,
  sum({ deployments: known, running, hedges, process }, text) {
    if (!known.length) return text.none;
    return text.sum(known.length, running, hedges) + (chosen === null ? "" : text.ofProcess(process));
  },
  trouble(state, text) {
    return state.trouble === null ? "" : `${text.oldSettings} ${state.trouble}`;
  },
  news({ deployments: known }, text) {
    const changed = known.filter((one) => conditions.has(one.name) && conditions.get(one.name) !== one.condition);
    conditions.clear();
    for (const one of known) conditions.set(one.name, one.condition);
    return changed.map((one) => `${one.name}: ${text.conditions[one.condition]}`).join(" ");
  },
  parts({ deployments: known }, text) {
    const present = new Set(known.map(nameOf));
    for (const name of cards.keys()) if (!present.has(name)) cards.delete(name);
    const tiers = [...new Set(known.map((one) => one.tier))].sort((a, b) => a - b);
    return tiers.map((tier, place) => {
      const heading = text.tier(tier) + (place === 0 && tiers.length > 1 ? ` – ${text.first}` : "");
      const list = made("ul", "", ...known.filter((one) => one.tier === tier).map((one) => drawn(one, text)));
      return made("section", "", made("h2", "", heading), list);
    });
  },
});

/** One that finishes may have the name of one that begins. */
function nameOf(one) {
  return `${one.name} ${one.condition === "leaving"}`;
}

/** Draw a card anew only when something in it changed. */
function drawn(one, text) {
  const told = text.tongue + JSON.stringify(one);
  const before = cards.get(nameOf(one));
  if (before?.told === told) return before.item;
  const item = card(one, text);
  cards.set(nameOf(one), { told, item });
  return item;
}
