// Both sides of the talk as they are spoken, with the tools between them.

import { useLayoutEffect, useRef } from "preact/hooks";
import { heardOf, type Entry, type Speech } from "../talk/entries";
import type { Talk } from "../talk/talk";
import { words } from "../words/words";
import { ToolCard } from "./tool-card";

const NEAR_PX = 120;

export function Transcript({ talk }: { talk: Talk }) {
  const text = words.value;
  const entries = talk.record.entries.value;
  const list = useRef<HTMLDivElement>(null);
  const follow = useRef(true);
  useLayoutEffect(() => {
    if (follow.current && list.current !== null) list.current.scrollTop = list.current.scrollHeight;
  }, [entries]);
  const scrolled = () => {
    const box = list.current!;
    follow.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_PX;
  };
  return (
    <section class="transcript card" aria-label={text.transcript} ref={list} tabIndex={0} onScroll={scrolled}>
      {entries.length === 0 && <Suggestions talk={talk} />}
      <ol>
        {entries.map((one) => (
          <li key={one.id} class={classOf(one)}>
            <Shown entry={one} />
          </li>
        ))}
      </ol>
    </section>
  );
}

function Suggestions({ talk }: { talk: Talk }) {
  const text = words.value;
  const agent = talk.choice.value?.agent ?? "";
  const says = text.agents[agent.replace(/-en$/, "")]?.says ?? [];
  return (
    <div class="suggestions">
      <p>{text.emptyTranscript}</p>
      {says.length > 0 && talk.stage.value === "talking" && (
        <p>
          <span>{text.trySaying}</span>
          {says.map((one) => (
            <button type="button" key={one} onClick={() => void talk.say(one)}>{one}</button>
          ))}
        </p>
      )}
    </div>
  );
}

function classOf(entry: Entry): string {
  return entry.is === "speech" ? `speech ${entry.side}` : entry.is;
}

function Shown({ entry }: { entry: Entry }) {
  if (entry.is === "tool") return <ToolCard tool={entry} />;
  if (entry.is === "divider") return <p>{words.value[entry.what]}</p>;
  if (entry.is === "remark") return <p>{words.value.failed}: {entry.text}</p>;
  return <Said one={entry} />;
}

function Said({ one }: { one: Speech }) {
  const text = words.value;
  const heard = heardOf(one);
  const until = heard ?? one.text.length;
  const rest = one.text.slice(until);
  return (
    <>
      <span class="who">
        {one.side === "caller" ? text.you : text.them}
        {one.typed && <small>{text.typed}</small>}
        {one.cut_ms !== null && <small>{text.interrupted((one.cut_ms / 1000).toFixed(1))}</small>}
      </span>
      <p class="words">
        {one.text === "" && <Wordless open={one.open} />}
        {one.text.slice(0, until)}
        {rest !== "" && (one.cut_ms === null ? <span class="coming">{rest}</span> : <s title={text.unheard}>{rest}</s>)}
      </p>
    </>
  );
}

function Wordless({ open }: { open: boolean }) {
  const text = words.value;
  if (!open) return <span class="coming">{text.notHeard}</span>;
  return (
    <span class="hearing">
      <span class="hidden">{text.hearing}</span>
      <i aria-hidden="true" /><i aria-hidden="true" /><i aria-hidden="true" />
    </span>
  );
}
