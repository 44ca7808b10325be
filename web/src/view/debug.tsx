// The raw events of both directions, for whoever builds on the protocol.

import { useState } from "preact/hooks";
import type { Talk } from "../talk/talk";
import type { Traced } from "../talk/trace";
import { words } from "../words/words";

const SHOWN = 200;

export function Debug({ talk }: { talk: Talk }) {
  const text = words.value;
  const [open, setOpen] = useState(false);
  return (
    <details class="debug card" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{text.debug} <small>{talk.record.trace.value.length}</small></summary>
      {open && <Events talk={talk} />}
    </details>
  );
}

function Events({ talk }: { talk: Talk }) {
  const text = words.value;
  const [filter, setFilter] = useState("");
  const trace = talk.record.trace.value;
  const shown = trace.filter((one) => one.type.includes(filter.trim())).slice(-SHOWN).reverse();
  return (
    <>
      <div class="debug-tools">
        <input
          type="search"
          aria-label={text.debugFilter}
          placeholder={text.debugFilter}
          value={filter}
          onInput={(event) => setFilter(event.currentTarget.value)}
        />
        <button type="button" onClick={() => save(trace)}>{text.debugSave}</button>
      </div>
      {shown.length === 0 && <p class="empty">{text.debugEmpty}</p>}
      <ol class="events">
        {shown.map((one) => <li key={one.number}><Row one={one} /></li>)}
      </ol>
    </>
  );
}

function Row({ one }: { one: Traced }) {
  const way = one.way === "sent" ? words.value.sent : words.value.received;
  return (
    <details class={one.way}>
      <summary><time>{(one.at / 1000).toFixed(3)}</time> <span>{way}</span> <code>{one.type}</code></summary>
      <pre tabIndex={0}>{one.json}</pre>
    </details>
  );
}

function save(trace: Traced[]): void {
  const lines = trace.map((one) => JSON.stringify({ ms: Math.round(one.at), way: one.way, event: JSON.parse(one.json) as unknown }));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([lines.join("\n")], { type: "application/jsonl" }));
  link.download = "kaiwa-events.jsonl";
  link.click();
  URL.revokeObjectURL(link.href);
}
