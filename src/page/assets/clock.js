// Seconds that a unit was in front of the person: those in which the page was seen, without long pauses.

const PAUSE = 120_000;

let counted = 0;
let since = null;
let stirred = 0;

function stop(now) {
  if (since !== null) counted += Math.max(0, Math.min(now, stirred + PAUSE) - since);
  since = null;
}

function go(now) {
  if (since === null && !document.hidden) since = now;
}

function stir() {
  const now = performance.now();
  if (now > stirred + PAUSE) {
    stop(now);
    go(now);
  }
  stirred = now;
}

export function begin() {
  counted = 0;
  since = null;
  stirred = performance.now();
  go(stirred);
}

export function seconds() {
  const now = performance.now();
  stop(now);
  go(now);
  return Math.round(counted / 100) / 10;
}

document.addEventListener("visibilitychange", () => (document.hidden ? stop(performance.now()) : (stir(), go(performance.now()))));
for (const kind of ["keydown", "pointerdown", "pointermove", "wheel", "scroll"]) {
  document.addEventListener(kind, stir, { passive: true, capture: true });
}
