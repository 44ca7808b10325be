// What a person uses while talking: levels, microphone, typing, the end.

import { useEffect, useState } from "preact/hooks";
import type { Talk } from "../talk/talk";
import { words } from "../words/words";
import { Meter } from "./meter";
import { PressButton } from "./press-button";

export function Controls({ talk }: { talk: Talk }) {
  const text = words.value;
  const sound = talk.sound.value;
  const mode = talk.choice.value?.mode;
  useEffect(() => {
    document.getElementById("talk")?.focus();
    window.scrollTo({ top: 0 });
  }, []);
  return (
    <section class="controls card" aria-label={text.mode}>
      <div class="meters">
        <p class="floor" data-floor={floorOf(talk)}>{text.states[floorOf(talk)]}</p>
        {mode !== "typing" && <Meter name="caller" label={text.meterYou} level={() => sound?.callerLevel ?? null} />}
        {sound !== null && <Meter name="agent" label={text.meterThem} level={() => sound.agentLevel} />}
      </div>
      {mode === "press" && <PressButton talk={talk} />}
      <Typing talk={talk} />
      <div class="buttons">
        {mode === "open" && (
          <button type="button" aria-pressed={talk.muted.value} onClick={() => talk.mute(!talk.muted.value)}>
            {talk.muted.value ? text.unmute : text.mute}
          </button>
        )}
        <button type="button" class="end" onClick={() => talk.hangUp()}>{text.end}</button>
      </div>
    </section>
  );
}

type Floor = "dialling" | "lost" | "muted" | "speaking" | "thinking" | "listening" | "talking";

function floorOf(talk: Talk): Floor {
  const { record } = talk;
  const stage = talk.stage.value;
  if (stage === "dialling" || stage === "lost") return stage;
  if (record.agentSpeaks.value) return "speaking";
  if (record.thinking.value) return "thinking";
  if (talk.muted.value) return "muted";
  const mode = talk.choice.value?.mode;
  return mode === "open" || talk.pressed.value ? "listening" : "talking";
}

function Typing({ talk }: { talk: Talk }) {
  const text = words.value;
  const [typed, setTyped] = useState("");
  const ready = talk.stage.value === "talking";
  const send = (event: Event) => {
    event.preventDefault();
    if (!ready || typed.trim() === "") return;
    void talk.say(typed.trim());
    setTyped("");
  };
  return (
    <form class="typing" onSubmit={send}>
      <label class="hidden" for="typed">{text.type}</label>
      <input
        id="typed"
        type="text"
        placeholder={text.type}
        autocomplete="off"
        maxLength={4000}
        value={typed}
        onInput={(event) => setTyped(event.currentTarget.value)}
      />
      <button type="submit" disabled={!ready}>{text.send}</button>
    </form>
  );
}
