// Says to a screen reader what was said, once it is complete; words that are still coming would interrupt.

import type { Entry } from "../talk/entries";
import type { Talk } from "../talk/talk";
import { words } from "../words/words";

export function Announcer({ talk }: { talk: Talk }) {
  const last = talk.record.entries.value.findLast(complete);
  return <div class="hidden" role="log" aria-live="polite">{last !== undefined && <p key={last.id}>{told(last)}</p>}</div>;
}

function complete(entry: Entry): boolean {
  return entry.is === "speech" ? !entry.open && entry.text !== "" : entry.is !== "tool" || entry.output !== null;
}

function told(entry: Entry): string {
  const text = words.value;
  if (entry.is === "divider") return text[entry.what];
  if (entry.is === "remark") return `${text.failed}: ${entry.text}`;
  if (entry.is === "tool") return `${text.tools[entry.name] ?? entry.name}: ${text.done}`;
  return `${entry.side === "caller" ? text.you : text.them}: ${entry.text}`;
}
