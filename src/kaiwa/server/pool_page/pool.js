// How every deployment stands, once a second. Knows GET /api/pool and nothing else of the server.

import { card } from "./card.js";
import { words } from "./words.js";

const KEY = "kaiwa.key";
const EVERY_MS = 1000;
const $ = (id) => document.getElementById(id);

let tongue = localStorage.getItem("kaiwa.tongue") ?? (navigator.language.startsWith("ja") ? "ja" : "en");
if (!(tongue in words)) tongue = "ja";
let state = null;
let trouble = "";
let wantsKey = false;
const conditions = new Map();
const cards = new Map();

async function look() {
  const key = sessionStorage.getItem(KEY);
  const headers = key ? { authorization: `Bearer ${key}` } : {};
  try {
    const answer = await fetch("./api/pool", { headers, cache: "no-store" });
    wantsKey = answer.status === 401;
    if (wantsKey) {
      state = null;
      trouble = key ? words[tongue].wrongKey : "";
    } else {
      if (!answer.ok) throw new Error(String(answer.status));
      state = await answer.json();
      trouble = state.trouble === null ? "" : `${words[tongue].oldSettings} ${state.trouble}`;
    }
  } catch {
    trouble = words[tongue].lost;
  }
  draw();
}

function draw() {
  const text = words[tongue];
  document.documentElement.lang = tongue;
  document.title = `${text.title} – kaiwa 会話`;
  $("title").textContent = text.title;
  $("key").hidden = !wantsKey;
  $("key-label").textContent = text.key;
  $("key-use").textContent = text.use;
  $("tongues").setAttribute("aria-label", text.language);
  for (const button of $("tongues").children) {
    button.setAttribute("aria-pressed", String(button.dataset.tongue === tongue));
  }
  if ($("trouble").textContent !== trouble) $("trouble").textContent = trouble;
  $("trouble").hidden = trouble === "";
  const known = state?.deployments ?? [];
  const sum = known.length ? text.sum(known.length, state.running, state.hedges) : text.none;
  $("sum").textContent = state === null ? "" : sum;
  tellChanges(known, text);
  drawTiers(known, text);
}

/** Say aloud what changed; the cards themselves are silent, or nobody could listen for long. */
function tellChanges(known, text) {
  const changed = known.filter((one) => conditions.has(one.name) && conditions.get(one.name) !== one.condition);
  if (changed.length) {
    $("said").textContent = changed.map((one) => `${one.name}: ${text.conditions[one.condition]}`).join(" ");
  }
  conditions.clear();
  for (const one of known) conditions.set(one.name, one.condition);
}

function drawTiers(known, text) {
  const tiers = [...new Set(known.map((one) => one.tier))].sort((a, b) => a - b);
  const sections = tiers.map((tier, place) => {
    const section = document.createElement("section");
    const heading = document.createElement("h2");
    heading.textContent = text.tier(tier) + (place === 0 && tiers.length > 1 ? ` – ${text.first}` : "");
    const list = document.createElement("ul");
    list.append(...known.filter((one) => one.tier === tier).map((one) => drawn(one, text)));
    section.append(heading, list);
    return section;
  });
  const present = new Set(known.map(nameOf));
  for (const name of cards.keys()) if (!present.has(name)) cards.delete(name);
  $("tiers").replaceChildren(...sections);
}

const nameOf = (one) => `${one.name} ${one.condition === "leaving"}`;

/** Draw a card anew only when something in it changed. */
function drawn(one, text) {
  const told = tongue + JSON.stringify(one);
  const before = cards.get(nameOf(one));
  if (before?.told === told) return before.item;
  const item = card(one, text);
  cards.set(nameOf(one), { told, item });
  return item;
}

$("tongues").addEventListener("click", (event) => {
  if (!event.target.dataset.tongue) return;
  tongue = event.target.dataset.tongue;
  localStorage.setItem("kaiwa.tongue", tongue);
  draw();
});
$("key").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, $("key-field").value.trim());
  void look();
});

async function keepLooking() {
  if (!document.hidden && !wantsKey) await look();
  setTimeout(keepLooking, EVERY_MS);
}
void keepLooking();
