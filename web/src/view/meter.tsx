// How loud one direction is, drawn without a render of the page. For the eye only.

import { useEffect, useRef } from "preact/hooks";
import { loudness } from "../audio/pcm";

const QUIETEST_DB = -60;
const CALM_MS = 400;

export function Meter(given: { name: string; label: string; level: () => AnalyserNode | null }) {
  const bar = useRef<HTMLElement>(null);
  useEffect(() => {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const samples = new Float32Array(1024);
    let drawn = 0;
    let frame = requestAnimationFrame(draw);
    function draw(now: number) {
      frame = requestAnimationFrame(draw);
      if (calm && now - drawn < CALM_MS) return;
      drawn = now;
      const analyser = given.level();
      analyser?.getFloatTimeDomainData(samples);
      const db = analyser === null ? QUIETEST_DB : 20 * Math.log10(loudness(samples) + 1e-6);
      const part = Math.max(0, Math.min(1, 1 - db / QUIETEST_DB));
      if (bar.current !== null) bar.current.style.transform = `scaleX(${part.toFixed(3)})`;
    }
    return () => cancelAnimationFrame(frame);
  }, [given.level]);
  return (
    <div class={`meter ${given.name}`} aria-hidden="true">
      <span>{given.label}</span>
      <div><i ref={bar} /></div>
    </div>
  );
}
