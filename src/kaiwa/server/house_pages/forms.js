// The forms that the pages of who runs the house are made of: elements, small pictures, numbers with units.

const SVG = "http://www.w3.org/2000/svg";
const [WIDE, MOST_SAMPLES] = [200, 40];

export function made(tag, className, ...inside) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...inside);
  return element;
}

export function drawing(tag, given) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(given)) element.setAttribute(name, value);
  return element;
}

/** The newest measurements as small bars, the last at the right; `classOf` says how each looks. */
export function spark(samples, high, classOf = () => "fine") {
  const picture = drawing("svg", {
    viewBox: `0 0 ${WIDE} ${high}`, preserveAspectRatio: "none", class: "spark", "aria-hidden": "true",
  });
  const most = Math.max(...samples, 1), step = WIDE / MOST_SAMPLES;
  samples.forEach((sample, i) => {
    const height = Math.max((sample / most) * high, 1.5);
    const x = WIDE - (samples.length - i) * step;
    picture.append(drawing("rect", { x, y: high - height, width: step * 0.7, height, class: classOf(sample) }));
  });
  return picture;
}

/** A bar of shares, each with its class. */
export function bar(shares) {
  const picture = drawing("svg", {
    viewBox: "0 0 100 8", preserveAspectRatio: "none", class: "bar", "aria-hidden": "true",
  });
  picture.append(drawing("rect", { class: "rest", width: 100, height: 8 }));
  let x = 0;
  for (const [kind, share] of shares) {
    const width = Math.min(share, 1) * 100;
    picture.append(drawing("rect", { class: kind, x, width, height: 8 }));
    x += width;
  }
  return picture;
}

/** How full something is, as a bar's class. */
export const level = (share) => (share >= 0.95 ? "full" : share >= 0.75 ? "high" : "fine");

export const number = (value) => value.toLocaleString();

export function ms(value, text) {
  return value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)}${text.units.s}`;
}

export function span(seconds, text) {
  if (seconds < 90) return `${Math.round(seconds)}${text.units.s}`;
  if (seconds < 5400) return `${Math.round(seconds / 60)}${text.units.m}`;
  if (seconds < 172800) return `${(seconds / 3600).toFixed(1)}${text.units.h}`;
  return `${Math.floor(seconds / 86400)}${text.units.d}`;
}

export function money(value, currency) {
  const digits = value === 0 || value >= 1 ? 2 : value >= 0.01 ? 4 : 6;
  return value.toLocaleString(undefined, { style: "currency", currency, maximumFractionDigits: digits });
}
