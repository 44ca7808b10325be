// The button that is held while speaking: by finger or mouse, by space bar or Enter, and as a switch for
// assistive technology, which can only click.

import { useEffect, useRef } from "preact/hooks";
import type { Talk } from "../talk/talk";
import { words } from "../words/words";

const INTERACTIVE = "input, textarea, select, button, a, summary, [contenteditable]";

export function PressButton({ talk }: { talk: Talk }) {
  const text = words.value;
  const held = talk.pressed.value;
  const handled = useRef(false);
  useEffect(() => spaceBar(talk), []);
  const press = () => {
    handled.current = true;
    talk.press();
  };
  const key = (event: KeyboardEvent, act: () => void) => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    if (!event.repeat) act();
  };
  return (
    <div class="press">
      <button
        type="button"
        class="hold"
        aria-pressed={held}
        disabled={talk.stage.value !== "talking"}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          press();
        }}
        onPointerUp={() => void talk.release()}
        onPointerCancel={() => void talk.release()}
        onContextMenu={(event) => event.preventDefault()}
        onKeyDown={(event) => key(event, press)}
        onKeyUp={(event) => key(event, () => void talk.release())}
        onBlur={() => void talk.release()}
        onClick={() => {
          if (!handled.current) held ? void talk.release() : talk.press();
          handled.current = false;
        }}
      >
        {held ? text.holding : text.hold}
      </button>
      <small>{text.holdAbout}</small>
    </div>
  );
}

/** The space bar talks wherever the focus is not on something that has its own use for it. */
function spaceBar(talk: Talk): () => void {
  const elsewhere = (event: KeyboardEvent) =>
    event.key === " " && !(event.target instanceof Element && event.target.closest(INTERACTIVE) !== null);
  const down = (event: KeyboardEvent) => {
    if (!elsewhere(event)) return;
    event.preventDefault();
    if (!event.repeat) talk.press();
  };
  const up = (event: KeyboardEvent) => {
    if (elsewhere(event)) void talk.release();
  };
  window.addEventListener("keydown", down);
  window.addEventListener("keyup", up);
  return () => {
    window.removeEventListener("keydown", down);
    window.removeEventListener("keyup", up);
  };
}
