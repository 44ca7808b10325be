// How the house is, every two seconds. Knows GET /api/status and nothing else of the server.

import { parts } from "./parts.js";
import { words } from "./words.js";

const KEY = "kaiwa.key";
const EVERY_MS = 2000;
const $ = (id) => document.getElementById(id);

let tongue = localStorage.getItem("kaiwa.tongue") ?? (navigator.language.startsWith("ja") ? "ja" : "en");
if (!(tongue in words)) tongue = "ja";
let state = null;
let trouble = "";
let wantsKey = false;
let wasReady = null;
let knownErrors = null;

async function look() {
  const key = sessionStorage.getItem(KEY);
  const headers = key ? { authorization: `Bearer ${key}` } : {};
  try {
    const answer = await fetch("./api/status", { headers, cache: "no-store" });
    wantsKey = answer.status === 401 || answer.status === 403;
    if (wantsKey) {
      state = null;
      trouble = answer.status === 403 ? words[tongue].noScope : key ? words[tongue].wrongKey : "";
    } else {
      if (!answer.ok) throw new Error(String(answer.status));
      state = await answer.json();
      trouble = state.relay.trouble === null ? "" : `${words[tongue].oldSettings} ${state.relay.trouble}`;
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
  $("elsewhere").setAttribute("aria-label", text.elsewhere);
  for (const link of $("elsewhere").children) link.textContent = text[link.dataset.word];
  $("tongues").setAttribute("aria-label", text.language);
  for (const button of $("tongues").children) {
    button.setAttribute("aria-pressed", String(button.dataset.tongue === tongue));
  }
  if ($("trouble").textContent !== trouble) $("trouble").textContent = trouble;
  $("trouble").hidden = trouble === "";
  $("sum").textContent = state === null ? "" : text.sum(state.sessions.open, state.tools.running, state.relay.running);
  if (state === null) return $("parts").replaceChildren();
  tellChanges(text);
  $("parts").replaceChildren(...parts.map((part) => part(state, text)));
}

/** Say aloud what somebody must know; the parts themselves are silent, or nobody could listen for long. */
function tellChanges(text) {
  const said = [];
  const ready = state.not_ready === null;
  if (wasReady !== null && wasReady !== ready) {
    said.push(ready ? text.ready : text.notReady[state.not_ready] ?? state.not_ready);
  }
  wasReady = ready;
  const kinds = new Map(state.errors.map((one) => [`${one.code} ${one.where}`, one]));
  if (knownErrors !== null) {
    for (const [kind, one] of kinds) if (!knownErrors.has(kind)) said.push(`${text.error}: ${one.code}, ${text.doors[one.where] ?? one.where}`);
  }
  knownErrors = new Set(kinds.keys());
  if (said.length) $("said").textContent = said.join(" ");
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
