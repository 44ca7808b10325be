// What is chosen before a talk: who, how, by which line, with which key.

import { useEffect, useRef, useState } from "preact/hooks";
import { CARRIERS, known } from "../line/carriers";
import { keepKey, keptKey, remember, remembered, type Carrier, type Mode } from "../talk/choice";
import type { AgentFacts, Facts } from "../talk/facts";
import type { Talk } from "../talk/talk";
import { tongue, words } from "../words/words";

export function Setup({ talk, facts }: { talk: Talk; facts: Facts }) {
  const text = words.value;
  const agents = inTongue(facts.agents);
  const names = agents.map((one) => one.name);
  const [chosen, setAgent] = useState(remembered("agent", facts.agent, names));
  const carriers = known(facts.transports);
  const [carrier, setCarrier] = useState<Carrier>(remembered("carrier", "websocket", carriers));
  const modes = CARRIERS[carrier].modes;
  const [wanted, setMode] = useState<Mode>(remembered("mode", window.isSecureContext ? "open" : "typing", modes));
  const mode = modes.includes(wanted) ? wanted : "typing";
  const [key, setKey] = useState(keptKey());
  const agent = names.includes(chosen) ? chosen : twin(chosen, names) ?? names[0] ?? "";
  const button = useRef<HTMLButtonElement>(null);
  const again = talk.record.entries.value.length > 0;
  useEffect(() => {
    if (again) button.current?.focus();
  }, []);

  const start = (event: Event) => {
    event.preventDefault();
    remember("agent", agent);
    remember("carrier", carrier);
    remember("mode", mode);
    keepKey(key);
    const language = facts.agents.find((one) => one.name === agent)?.language ?? null;
    void talk.start({ agent, language, carrier, mode, key: facts.key_required ? key : null });
  };

  return (
    <form class="setup card" onSubmit={start}>
      <Options
        legend={text.agent}
        name="agent"
        value={agent}
        choose={setAgent}
        options={agents.map((one) => ({ value: one.name, ...wordsOf(one) }))}
      />
      <Options
        legend={text.mode}
        name="mode"
        value={mode}
        choose={setMode}
        options={modes.map((value) => ({ value, note: null, ...text.modes[value] }))}
      />
      {carriers.length > 1 && (
        <Options
          legend={text.carrier}
          name="carrier"
          value={carrier}
          choose={setCarrier}
          options={carriers.map((value) => ({ value, note: null, ...text.carriers[value] }))}
        />
      )}
      {facts.key_required && (
        <label class="key">
          <span>{text.key}</span>
          <input
            type="password"
            required
            autocomplete="off"
            spellcheck={false}
            aria-describedby="about-key"
            value={key}
            onInput={(event) => setKey(event.currentTarget.value.trim())}
          />
          <small id="about-key">{text.keyAbout}</small>
        </label>
      )}
      <button ref={button} class="primary" type="submit">{text.start}</button>
    </form>
  );
}

interface Option<Value extends string> {
  value: Value;
  title: string;
  about: string;
  note: string | null;
}

function Options<Value extends string>(given: {
  legend: string;
  name: string;
  value: Value;
  choose: (value: Value) => void;
  options: Option<Value>[];
}) {
  return (
    <fieldset>
      <legend>{given.legend}</legend>
      <div class="options">
        {given.options.map((one) => (
          <label class="option" key={one.value}>
            <input
              type="radio"
              name={given.name}
              value={one.value}
              checked={one.value === given.value}
              onChange={() => given.choose(one.value)}
            />
            <span class="option-title">{one.title}{one.note !== null && <small>{one.note}</small>}</span>
            <span class="option-about">{one.about}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

/** The agents for the page's language, the plain one last. Another language's agent stays when it has no twin. */
function inTongue(agents: AgentFacts[]): AgentFacts[] {
  const names = agents.map((one) => one.name);
  const own = (one: AgentFacts) => one.language === null || one.language === tongue.value;
  const shown = agents.filter((one) => own(one) || twin(one.name, names) === undefined);
  return [...shown.filter((one) => one.language !== null), ...shown.filter((one) => one.language === null)];
}

/** The same agent in another language: bundled English ones are named with "-en" behind. */
function twin(name: string, names: string[]): string | undefined {
  return names.find((one) => one === `${name}-en` || `${one}-en` === name);
}

function wordsOf(agent: AgentFacts): { title: string; about: string; note: string | null } {
  const text = words.value;
  const known = text.agents[agent.name.replace(/-en$/, "")];
  const other = agent.language !== null && agent.language !== tongue.value;
  const note = other ? (text.speaks[agent.language!] ?? agent.language) : null;
  return { title: known?.title ?? agent.name, about: known?.about ?? agent.description ?? agent.name, note };
}
