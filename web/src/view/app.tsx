// The whole page: header, setup, talk and the panels beside it.

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { askFacts, type Facts } from "../talk/facts";
import { Talk } from "../talk/talk";
import { Trouble } from "../talk/trouble";
import { tongue, speakIn, words } from "../words/words";
import { Announcer } from "./announcer";
import { Board } from "./board";
import { Controls } from "./controls";
import { Cost } from "./cost";
import { Debug } from "./debug";
import { Latency } from "./latency";
import { Setup } from "./setup";
import { Transcript } from "./transcript";
import { TroubleNote } from "./trouble-note";

const talk = new Talk();
const facts = signal<Facts | null>(null);
const RETRY_MS = 2000;

async function askUntilAnswered(): Promise<void> {
  try {
    facts.value = await askFacts();
    if (talk.stage.value === "idle") talk.trouble.value = null;
  } catch (error) {
    talk.trouble.value = error as Trouble;
    setTimeout(() => void askUntilAnswered(), RETRY_MS);
  }
}

export function App() {
  useEffect(() => void askUntilAnswered(), []);
  const idle = talk.stage.value === "idle";
  const fresh = idle && talk.record.entries.value.length === 0;
  return (
    <>
      <a class="skip" href="#talk">{words.value.skip}</a>
      <Header />
      <main class={fresh ? "fresh" : "begun"}>
        <div class="talk" id="talk" tabIndex={-1}>
          <TroubleNote talk={talk} />
          {idle && facts.value !== null && <Setup talk={talk} facts={facts.value} />}
          {!fresh && <Transcript talk={talk} />}
          {!idle && <Controls talk={talk} />}
        </div>
        {!fresh && (
          <div class="panels">
            <Board talk={talk} />
            <Latency talk={talk} />
            <Cost talk={talk} prices={facts.value?.prices ?? null} />
          </div>
        )}
        {!fresh && <Debug talk={talk} />}
      </main>
      <Elsewhere />
      <Announcer talk={talk} />
    </>
  );
}

/** The pages of who runs the server; they ask for its key themselves. */
function Elsewhere() {
  const text = words.value.elsewhere;
  return (
    <footer>
      <a href="./status">{text.status}</a>
      <a href="./pool">{text.pool}</a>
      <a href="./docs">{text.reference}</a>
    </footer>
  );
}

function Header() {
  const text = words.value;
  const stage = talk.stage.value;
  return (
    <header>
      <h1>
        <span class="mark" aria-hidden="true" />
        kaiwa <span lang="ja">会話</span>
      </h1>
      <p class="tagline">{text.tagline}</p>
      <p class={`stage ${stage}`} data-stage={stage}>{text.states[stage]}</p>
      <div class="tongues" role="group" aria-label={text.language}>
        {(["ja", "en"] as const).map((one) => (
          <button type="button" lang={one} aria-pressed={tongue.value === one} onClick={() => speakIn(one)}>
            {one === "ja" ? "日本語" : "English"}
          </button>
        ))}
      </div>
    </header>
  );
}
