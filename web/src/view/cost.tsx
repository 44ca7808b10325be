// What the talk has cost so far.

import { KINDS, priceOf, type Prices } from "../talk/cost";
import type { Talk } from "../talk/talk";
import { tongue, words } from "../words/words";

export function Cost({ talk, prices }: { talk: Talk; prices: Prices | null }) {
  const text = words.value;
  const tokens = talk.record.tokens.value;
  const total = KINDS.reduce((sum, kind) => sum + tokens[kind], 0);
  const number = new Intl.NumberFormat(tongue.value);
  return (
    <section class="cost card" aria-labelledby="cost">
      <h2 id="cost">{text.cost}</h2>
      <p class="sum">
        {prices !== null && <strong data-money>{money(priceOf(tokens, prices), prices.currency)}</strong>}
        <span><b data-tokens>{number.format(total)}</b> {text.totalTokens}</span>
      </p>
      <dl>
        {KINDS.filter((kind) => tokens[kind] > 0).map((kind) => (
          <div key={kind}>
            <dt>{text.tokens[kind]}</dt>
            <dd>{number.format(tokens[kind])}</dd>
          </div>
        ))}
      </dl>
      {prices === null && <p class="about">{text.unpriced}</p>}
    </section>
  );
}

function money(amount: number, currency: string): string {
  const digits = { minimumFractionDigits: 4, maximumFractionDigits: 4 };
  return new Intl.NumberFormat(tongue.value, { style: "currency", currency, ...digits }).format(amount);
}
