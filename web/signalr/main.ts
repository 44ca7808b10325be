// The page of tokens through a hub: asks, shows every token as it comes, and keeps the talk.

import { Hub, type Outcome, type State } from "./hub";
import { fresh, remember, remembered, running, setRunning } from "./kept";
import "./style.css";
import { tongues, type Tongue, type Words } from "./words";

const found = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
const log = found("log");
const prompt = found<HTMLTextAreaElement>("prompt");
const base = found<HTMLInputElement>("base");
const key = found<HTMLInputElement>("key-field");
const send = found<HTMLButtonElement>("send");

let words: Words = tongues.ja;
let state: State = "connecting";
let kept = remembered();
let asking = false;
let answer: HTMLElement | null = null;
let joined = false;
let hub: Hub | null = null;

function say(tongue: Tongue): void {
  words = tongues[tongue];
  document.documentElement.lang = tongue;
  for (const element of document.querySelectorAll<HTMLElement>("[data-word]"))
    element.textContent = words[element.dataset.word as keyof Words];
  for (const button of document.querySelectorAll<HTMLElement>("[data-tongue]"))
    button.setAttribute("aria-pressed", String(button.dataset.tongue === tongue));
  found("tongues").setAttribute("aria-label", words.tongue);
  show();
}

function show(): void {
  found("state").textContent = words[state];
  found("state").dataset.state = state;
  found("key").hidden = state !== "wrong_key" && key.value === "";
  send.textContent = asking ? words.sending : words.send;
  send.disabled = asking || state !== "connected";
  document.body.classList.toggle("asking", asking);
  found("empty").hidden = log.childElementCount > 0;
  const spent = kept.cost > 0 ? ` · ${kept.currency} ${kept.cost.toPrecision(2)}` : "";
  found("cost").textContent = kept.tokens > 0 ? `${kept.tokens.toLocaleString()} tokens${spent}` : "";
  for (const name of document.querySelectorAll<HTMLElement>("[data-who]"))
    name.textContent = name.dataset.who === "me" ? words.me : words.agent;
}

function complain(text: string): void {
  found("trouble").textContent = text;
  found("trouble").hidden = text === "";
}

function put(mine: boolean, text: string): HTMLElement {
  const entry = document.createElement("article");
  entry.className = mine ? "mine" : "theirs";
  const name = document.createElement("h3");
  name.dataset.who = mine ? "me" : "agent";
  const body = document.createElement("p");
  body.textContent = text;
  entry.append(name, body);
  log.append(entry);
  log.scrollTop = log.scrollHeight;
  return body;
}

function hear(text: string): void {
  answer ??= put(false, "");
  answer.textContent += text;
  log.scrollTop = log.scrollHeight;
  show();
}

function finish(): void {
  if (answer !== null) kept.said.push({ mine: false, text: answer.textContent ?? "" });
  answer = null;
  asking = joined = false;
  setRunning(null);
  remember(kept);
  show();
}

function count(outcome: Outcome): void {
  kept.tokens += (outcome.usage?.input_tokens ?? 0) + (outcome.usage?.output_tokens ?? 0);
  kept.cost += outcome.cost ?? 0;
  kept.currency = outcome.currency ?? kept.currency;
}

async function ask(): Promise<void> {
  const text = prompt.value.trim();
  if (text === "" || asking || hub === null || state !== "connected") return;
  asking = true;
  prompt.value = "";
  complain("");
  put(true, text);
  kept.said.push({ mine: true, text });
  remember(kept);
  show();
  const conversation = kept.conversation;
  try {
    const outcome = await hub.ask(text, conversation, setRunning);
    if (conversation === kept.conversation) count(outcome);
    if (!joined) finish();
  } catch (error) {
    if (running() !== null) return; // the line broke: the answer is joined when it is back
    complain(`${words.failed} ${error instanceof Error ? error.message : ""}`);
    finish();
  }
}

/** Take up an answer that went on without this tab: its words so far, and then every one once. */
async function resume(): Promise<void> {
  const stream = running();
  if (stream === null || hub === null || joined) return;
  asking = joined = true;
  let first = true;
  const whole = await hub.join(stream, (text) => {
    if (first && answer !== null) answer.textContent = "";
    first = false;
    hear(text);
  });
  if (!whole && first) complain(words.lost);
  finish();
}

function open(): void {
  void hub?.close();
  complain("");
  const made: Hub = new Hub(base.value.replace(/\/+$/, ""), key.value, {
    state: (now) => {
      if (made !== hub) return;
      if (now === "wrong_key" && key.value !== "") complain(words.wrong_key);
      state = now;
      show();
      if (now === "wrong_key") key.focus();
    },
    token: (text) => {
      if (made === hub && !joined) hear(text);
    },
    anew: () => {
      if (made === hub) void resume();
    },
  });
  hub = made;
  void made.open();
}

function clear(): void {
  log.replaceChildren();
  kept = fresh();
  answer = asking ? put(false, "") : null;
  remember(kept);
  complain("");
  show();
  prompt.focus();
}

base.value = location.origin;
for (const one of kept.said) put(one.mine, one.text);
found("address").addEventListener("submit", (event) => (event.preventDefault(), open()));
found("key").addEventListener("submit", (event) => (event.preventDefault(), open()));
found("ask").addEventListener("submit", (event) => (event.preventDefault(), void ask()));
found("clear").addEventListener("click", clear);
prompt.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return; // the Enter that ends a conversion
  event.preventDefault();
  void ask();
});
for (const button of document.querySelectorAll<HTMLElement>("[data-tongue]"))
  button.addEventListener("click", () => say(button.dataset.tongue as Tongue));
say(navigator.language.startsWith("ja") ? "ja" : "en");
open();
prompt.focus();
