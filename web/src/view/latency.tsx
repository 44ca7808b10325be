// Where the time of the newest turns went, as bars on one scale.

import type { Talk } from "../talk/talk";
import { recognitionOf, STEPS, stepsOf, totalOf, type Turn } from "../talk/turns";
import { words } from "../words/words";

const SHOWN = 6;
const SHORTEST_SCALE_MS = 1000;

export function Latency({ talk }: { talk: Talk }) {
  const text = words.value;
  const all = talk.record.turns.value;
  const turns = all.filter((one) => totalOf(one) !== null).slice(-SHOWN);
  const scale_ms = Math.max(SHORTEST_SCALE_MS, ...turns.map((one) => totalOf(one) ?? 0));
  return (
    <section class="latency card" aria-labelledby="latency">
      <h2 id="latency">{text.latency}</h2>
      <p class="about">{turns.length === 0 ? text.latencyEmpty : text.latencyAbout}</p>
      {turns.length > 0 && (
        <>
          <ol>
            {turns.map((one) => <Row key={all.indexOf(one)} turn={one} number={all.indexOf(one) + 1} scale_ms={scale_ms} />)}
          </ol>
          <ul class="legend" aria-hidden="true">
            {STEPS.map((step) => <li key={step} class={step}>{text.steps[step]}</li>)}
          </ul>
        </>
      )}
    </section>
  );
}

function Row({ turn, number, scale_ms }: { turn: Turn; number: number; scale_ms: number }) {
  const text = words.value;
  const steps = stepsOf(turn);
  const recognition = recognitionOf(turn);
  const told = steps.map((one) => `${text.steps[one.step]} ${ms(one.to - one.from)}`);
  if (recognition !== null) told.push(text.recognition(ms(recognition)));
  return (
    <li>
      <p>
        <span class="said">{turn.said || text.turnNumber(number)}</span>
        <strong>{ms(totalOf(turn) ?? 0)}</strong>
      </p>
      <div class="bar" role="img" aria-label={told.join(", ")} title={told.join(" · ")}>
        {steps.map((one) => (
          <i key={one.step} class={one.step} style={{ width: `${((one.to - one.from) / scale_ms) * 100}%` }} />
        ))}
      </div>
      <p class="told">{told.join(" · ")}</p>
    </li>
  );
}

function ms(value: number): string {
  return `${Math.round(value)} ms`;
}
