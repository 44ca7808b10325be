// What the pages of who runs the house have in common: they ask the server again and again, for its key when
// it wants one, in either language. Knows no answer's parts.

import { words as common } from "./common.js";

const KEY = "kaiwa.key";
const TONGUE = "kaiwa.tongue";
const $ = (id) => document.getElementById(id);

/**
 * Ask `address` every `everyMs` and show what it says.
 *
 * `words` has the page's own words in each language, with `title`; `sum(state, text)` is the line beside it,
 * `trouble(state, text)` what is wrong or "", `parts(state, text)` the elements to show, and
 * `news(state, text)` what to say aloud: the parts are silent, or nobody could listen for long.
 */
export function show({ address, everyMs, words, sum, trouble, parts, news }) {
  let tongue = localStorage.getItem(TONGUE) ?? (navigator.language.startsWith("ja") ? "ja" : "en");
  if (!(tongue in words)) tongue = "ja";
  let state = null;
  let told = "";
  let wantsKey = false;

  const text = () => ({ ...common[tongue], ...words[tongue], tongue });

  async function look() {
    const key = sessionStorage.getItem(KEY);
    const headers = key ? { authorization: `Bearer ${key}` } : {};
    try {
      const answer = await fetch(address, { headers, cache: "no-store" });
      wantsKey = answer.status === 401 || answer.status === 403;
      if (wantsKey) {
        state = null;
        told = answer.status === 403 ? text().noScope : key ? text().wrongKey : "";
      } else {
        if (!answer.ok) throw new Error(String(answer.status));
        state = await answer.json();
        told = trouble(state, text());
      }
    } catch {
      told = text().lost;
    }
    draw();
  }

  function draw() {
    const said = text();
    frame(said, tongue);
    $("key").hidden = !wantsKey;
    if ($("trouble").textContent !== told) $("trouble").textContent = told;
    $("trouble").hidden = told === "";
    $("sum").textContent = state === null ? "" : sum(state, said);
    if (state === null) return $("parts").replaceChildren();
    const aloud = news(state, said);
    if (aloud) $("said").textContent = aloud;
    $("parts").replaceChildren(...parts(state, said));
  }

  $("tongues").addEventListener("click", (event) => {
    if (!event.target.dataset.tongue) return;
    tongue = event.target.dataset.tongue;
    localStorage.setItem(TONGUE, tongue);
    draw();
  });
  $("key").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY, $("key-field").value.trim());
    void look();
  });

  async function keepLooking() {
    if (!document.hidden && !wantsKey) await look();
    setTimeout(keepLooking, everyMs);
  }
  void keepLooking();
}

function frame(text, tongue) {
  document.documentElement.lang = tongue;
  document.title = `${text.title} – kaiwa 会話`;
  $("title").textContent = text.title;
  $("key-label").textContent = text.key;
  $("key-use").textContent = text.use;
  $("elsewhere").setAttribute("aria-label", text.elsewhere);
  for (const link of $("elsewhere").children) {
    link.textContent = text[`to_${link.dataset.word}`];
    if (link.pathname === location.pathname) link.setAttribute("aria-current", "page");
  }
  $("tongues").setAttribute("aria-label", text.language);
  for (const button of $("tongues").children) {
    button.setAttribute("aria-pressed", String(button.dataset.tongue === tongue));
  }
}
