// One tool call: what it was asked, how long it takes, what it gave.

import { useEffect, useState } from "preact/hooks";
import type { ToolUse } from "../talk/entries";
import { failed, parsed, type Json } from "../talk/results";
import { words } from "../words/words";

const TICK_MS = 250;

export function ToolCard({ tool }: { tool: ToolUse }) {
  const text = words.value;
  const state = stateOf(tool);
  return (
    <div class={`tool-card ${state}`} data-tool={tool.name} data-state={state}>
      <p class="tool-head">
        <span class="tool-name">{text.tools[tool.name] ?? tool.name}</span>
        <code>{tool.name}</code>
        <span class="tool-state">{text[state]} <Elapsed tool={tool} /></span>
      </p>
      {state === "running" && <Progress tool={tool} />}
      <Arguments tool={tool} />
      {tool.output !== null && (
        <details>
          <summary>{text.result}</summary>
          <pre tabIndex={0}>{pretty(tool.output)}</pre>
        </details>
      )}
    </div>
  );
}

function stateOf(tool: ToolUse): "running" | "lost" | "failed" | "done" {
  if (tool.output === null) return tool.settled_at === null ? "running" : "lost";
  return failed(tool) ? "failed" : "done";
}

/** How far it is, where the tool says so; else only that it moves. */
function Progress({ tool }: { tool: ToolUse }) {
  if (tool.progress === null) return <div class="progress" aria-hidden="true"><i /></div>;
  const { fraction, text } = tool.progress;
  return (
    <p class="progress-told">
      <progress max={1} value={fraction} aria-label={words.value.running} />
      <span>{words.value.percent(Math.round(fraction * 100))}{text !== "" && ` · ${text}`}</span>
    </p>
  );
}

function Arguments({ tool }: { tool: ToolUse }) {
  const given: Json = parsed(tool.arguments) ?? {};
  const names = Object.keys(given);
  if (names.length === 0) return null;
  return (
    <dl aria-label={words.value.arguments}>
      {names.map((name) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{typeof given[name] === "string" ? given[name] : JSON.stringify(given[name])}</dd>
        </div>
      ))}
    </dl>
  );
}

function Elapsed({ tool }: { tool: ToolUse }) {
  const [, tick] = useState(0);
  const running = tool.settled_at === null;
  useEffect(() => {
    if (!running) return undefined;
    const timer = setInterval(() => tick((count) => count + 1), TICK_MS);
    return () => clearInterval(timer);
  }, [running]);
  const ms = (tool.settled_at ?? performance.now()) - tool.began_at;
  return <time>{words.value.seconds((ms / 1000).toFixed(ms < 10_000 ? 1 : 0))}</time>;
}

function pretty(output: string): string {
  try {
    return JSON.stringify(JSON.parse(output), null, 2);
  } catch {
    return output;
  }
}
