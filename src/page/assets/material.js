// The material: the events that a model sees, folded where they are long; the very text that a model gets; the transcript behind it.

import { bind } from "./keys.js";
import { alarm, byId, fill, key, make, plural } from "./make.js";
import { get } from "./wire.js";

const FOLDED = new Set(["tool_call", "tool_result", "injected", "compaction", "client_error"]);
const LONG_WORDS = 6000;
const PREVIEW = 110;

const VIEWS = [
  ["material", "Material", "what a model sees, event by event"],
  ["prompt", "Exact text", "the very text that a model gets, with its instructions and marks"],
  ["transcript", "Transcript", "all events up to here, whole"],
];

let view = "material";
let at = null;
let drawn = 0;
const fetched = new Map();

/// A unit's material, asked for once; a few are kept.
export function fetchMaterial(place) {
  if (!fetched.has(place)) {
    const asked = get(`/api/units/${place}/material`);
    asked.catch(() => fetched.delete(place));
    fetched.set(place, asked);
    if (fetched.size > 4) fetched.delete(fetched.keys().next().value);
  }
  return fetched.get(place);
}

function firstLine(text) {
  const line = text.trimStart().split("\n", 1)[0];
  return line.length > PREVIEW ? `${line.slice(0, PREVIEW)}…` : line;
}

/// The words of an event; of very long ones the rest is a fold of its own.
function wordsOf(text) {
  if (text.length <= LONG_WORDS) return [make("div", { class: "words" }, text)];
  const rest = make("details", { class: "rest" }, make("summary", {}, `${(text.length - LONG_WORDS).toLocaleString("en")} more characters`));
  rest.addEventListener("toggle", () => rest.childElementCount === 1 && rest.append(make("div", { class: "words" }, text.slice(LONG_WORDS))));
  return [make("div", { class: "words" }, text.slice(0, LONG_WORDS)), rest];
}

function drawPiece(piece) {
  const data = piece.event === null ? {} : { event: piece.event };
  if (piece.kind === "gap") return make("p", { class: "gap" }, piece.head);
  const more =
    piece.more &&
    make("button", { type: "button", class: "more", click: (event) => drawWhole(piece.event, event.target) }, `show ${piece.more.toLocaleString("en")} more bytes`);
  const isShort = piece.text.length < 240 && !piece.text.includes("\n");
  if (FOLDED.has(piece.kind) && !isShort) {
    const lines = piece.text.split("\n").length;
    const summary = make(
      "summary",
      {},
      make("span", { class: "head" }, piece.head),
      make("span", { class: "preview" }, firstLine(piece.text)),
      make("span", { class: "size" }, plural(lines, "line")),
    );
    return make("details", { class: `event ${piece.kind}`, data }, summary, wordsOf(piece.text), more);
  }
  return make(
    "article",
    { class: `event ${piece.kind}${piece.is_target ? " target" : ""}`, data, id: piece.is_target ? "target" : null, tabindex: piece.is_target ? -1 : null },
    make("p", { class: "head" }, piece.is_target && make("strong", {}, "to be labelled"), piece.head),
    piece.text && wordsOf(piece.text),
    more,
  );
}

async function drawWhole(number, button) {
  try {
    const { text } = await get(`/api/units/${at}/events/${number}`);
    const holder = button.closest("[data-event]");
    holder.querySelectorAll(".words, .rest").forEach((old) => old.remove());
    button.replaceWith(...wordsOf(text));
  } catch (error) {
    alarm(error.message);
  }
}

function showTarget(body) {
  const target = body.querySelector("#target");
  // A prompt's material ends with it; a session is read from its start.
  if (target) target.scrollIntoView({ block: target.offsetHeight > body.clientHeight ? "start" : "end" });
  else body.scrollTop = 0;
}

async function drawMaterial(body, turn) {
  const sight = await fetchMaterial(at);
  if (turn !== drawn) return;
  const whole = sight.coverage.tokens >= 1 ? "nothing left out" : `${Math.round(sight.coverage.tokens * 100)} % of the text`;
  fill(
    body,
    make("p", { class: "coverage" }, `${whole} · about ${sight.tokens.toLocaleString("en")} tokens`),
    sight.pieces.map(drawPiece),
    sight.beside && make("aside", { class: "beside", "aria-label": "Beside the events" }, make("div", { class: "words" }, sight.beside)),
  );
  showTarget(body);
}

async function drawPrompt(body, turn) {
  const { text } = await get(`/api/units/${at}/prompt`);
  if (turn !== drawn) return;
  fill(body, make("pre", { class: "exact", tabindex: 0 }, text));
}

/// The transcript: of a prompt from its end, of a session from its start; more of it on demand, in either direction.
async function drawTranscript(body, turn) {
  const { target } = await fetchMaterial(at);
  const stretch = await get(`/api/units/${at}/transcript?${target ? "" : "from=1"}`);
  if (turn !== drawn) return;
  fill(body, stretch.pieces.map(drawPiece));
  offerEarlier(body, stretch, turn);
  offerLater(body, stretch, turn);
  showTarget(body);
}

function moreButton(text, load, place) {
  const go = async () => {
    more.disabled = true;
    await load(more).catch((error) => alarm(error.message));
    more.remove();
  };
  const more = make("button", { type: "button", class: "more", click: go, data: { place } }, text);
  return more;
}

function offerEarlier(body, { previous }, turn) {
  if (!previous) return;
  const load = async (more) => {
    const stretch = await get(`/api/units/${at}/transcript?to=${previous}`);
    if (turn !== drawn) return;
    const height = body.scrollHeight;
    more.after(...stretch.pieces.map(drawPiece));
    offerEarlier(body, stretch, turn);
    // What was looked at stays where it was.
    body.scrollTop += body.scrollHeight - height;
  };
  body.prepend(moreButton(`events before ${previous + 1}`, load, "earlier"));
}

function offerLater(body, { next, last }, turn) {
  if (!next) return;
  const load = async () => {
    const stretch = await get(`/api/units/${at}/transcript?from=${next}`);
    if (turn !== drawn) return;
    body.append(...stretch.pieces.map(drawPiece));
    offerLater(body, stretch, turn);
  };
  body.append(moreButton(`go on from event ${next} of ${last}`, load, "later"));
}

async function draw() {
  const body = byId("material-body");
  const turn = ++drawn;
  body.setAttribute("aria-busy", "true");
  try {
    await { material: drawMaterial, prompt: drawPrompt, transcript: drawTranscript }[view](body, turn);
  } catch (error) {
    if (turn === drawn) fill(body, make("p", { class: "trouble" }, error.message));
  }
  if (turn === drawn) body.removeAttribute("aria-busy");
}

function drawViews() {
  const choose = (name) => () => {
    view = name;
    drawViews();
    return draw();
  };
  fill(
    byId("views"),
    make(
      "div",
      { role: "group", "aria-label": "What is shown", class: "switch" },
      VIEWS.map(([name, text, title]) =>
        make("button", { type: "button", title, id: `view-${name}`, "aria-pressed": String(view === name), click: choose(name) }, text),
      ),
      key("v"),
    ),
  );
}

/// Shows a unit's material, as it was last looked at.
export async function showMaterial(place) {
  at = place;
  if (view === "transcript") view = "material";
  drawViews();
  await draw();
}

/// The words that are selected in one event: `{ event, quote }`, or why there are none.
export function selected() {
  const selection = document.getSelection();
  const quote = selection?.toString().trim() ?? "";
  const of = (node) => (node instanceof Element ? node : node?.parentElement)?.closest("[data-event]");
  if (!quote) return { trouble: "first select words in the material" };
  const [start, end] = [of(selection.anchorNode), of(selection.focusNode)];
  if (!start || !byId("material-body").contains(start)) return { trouble: "select words of an event, in Material or Transcript" };
  if (start !== end) return { trouble: "select words of one event only" };
  if (quote.length > 2000) return { trouble: "select fewer words" };
  return { event: Number(start.dataset.event), quote };
}

bind("v", "Material", "material, exact text, transcript", () => {
  const names = VIEWS.map(([name]) => name);
  view = names[(names.indexOf(view) + 1) % names.length];
  drawViews();
  return draw();
});
bind("o", "Material", "open or fold everything", () => {
  const folds = [...byId("material-body").querySelectorAll("details")];
  const open = folds.some((fold) => !fold.open);
  folds.forEach((fold) => (fold.open = open));
});
for (const [name, meaning, sign] of [
  ["PageDown", "scroll down", 1],
  ["PageUp", "scroll up", -1],
]) {
  bind(name, "Material", meaning, () => {
    const body = byId("material-body");
    body.scrollTop += sign * body.clientHeight * 0.9;
  });
}
