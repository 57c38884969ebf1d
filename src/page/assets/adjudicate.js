// Deciding: what the raters said, side by side, and the gold answer: one of theirs, or another.

import { begin, seconds } from "./clock.js";
import { buildForm } from "./form.js";
import { bind, help } from "./keys.js";
import { showList, step } from "./list.js";
import { alarm, button, byId, fill, key, make, plural, say, words } from "./make.js";
import { fetchMaterial, showMaterial } from "./material.js";
import { showRound } from "./round.js";
import { get, post } from "./wire.js";

const TAKE_KEYS = ["a", "b", "c"];
const FILTERS = [
  ["all", "all"],
  ["todo", "to be decided"],
  ["done", "decided"],
  ["noted", "with a note"],
];
const STATES = { todo: "to be decided", done: "decided" };
const VERDICTS = { differ: "The raters differ.", close: "The raters are close; their mean would do.", agree: "The raters agree." };

function shown(value) {
  if (value === null || value === undefined) return "—";
  if (Array.isArray(value)) return value.length > 0 ? value.map(words).join(", ") : "none";
  if (typeof value === "object") return make("ul", { class: "parts" }, Object.entries(value).map(([name, part]) => make("li", {}, make("span", {}, words(name)), " ", make("b", {}, shown(part)))));
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "string" ? words(value) : String(value);
}

export async function adjudicate(task) {
  let units = [];
  let at = null;
  let busy = true;
  let current = null;
  let rest = { agreed: 0, averaged: 0 };
  const fields = task.question.fields;
  const needed = fields.filter((one) => one.required);
  const canBeQuick = needed.length === 1 && needed[0].type === "label";

  const voices = make("section", { id: "voices", "aria-label": "Answers" });
  const settling = make("div", { id: "settling" });
  const form = buildForm(task.question, (how) => {
    if (how === "key" && canBeQuick) save();
  });
  const state = make("p", { id: "state" });
  form.element.prepend(make("h3", {}, "The gold answer"));
  form.element.append(
    make("div", { class: "actions" }, button("Save and go on", "Enter", () => save(), { id: "save", class: "main" }), button("Undo", "u", () => undo(), { id: "undo" }), state),
  );
  fill(byId("side"), settling, voices, form.element);

  function showProgress(progress) {
    byId("progress").max = Math.max(1, progress.units);
    byId("progress").value = progress.done;
    byId("progress-text").textContent = `${progress.done} of ${progress.units} decided`;
  }

  /// What can be written without a look at each, with how many it is about.
  function showSettling() {
    const offer = (which, count, text) =>
      count > 0 && make("button", { type: "button", id: `settle-${which}`, click: () => settle(which, count, text) }, text);
    fill(
      settling,
      offer("agreed", rest.agreed, `Take over the ${rest.agreed} on which all agree`),
      offer("averaged", rest.averaged, `Average the rest: ${rest.averaged} that differ by a fifth of the range at most`),
    );
  }

  function column(voice, takeKey, isModel) {
    const differing = new Set(current.open);
    const rows = fields
      .filter((one) => voice.fields[one.name] !== undefined && voice.fields[one.name] !== null)
      .map((one) => [
        make("dt", {}, words(one.name), differing.has(one.name) && !isModel && make("span", { class: "differs" }, "differs")),
        make("dd", { class: differing.has(one.name) ? "open" : null }, shown(voice.fields[one.name])),
      ]);
    return make(
      "article",
      { class: `voice${isModel ? " model" : ""}`, data: { rater: voice.rater } },
      make("h3", {}, voice.rater),
      isModel && voice.status !== "ok" && voice.status !== "repaired" && make("p", { class: "trouble" }, voice.status === null ? "not in the run" : `no answer: ${voice.status}`),
      make("dl", {}, rows),
      voice.note && make("p", { class: "said" }, voice.note),
      voice.evidence.map((one) => make("p", { class: "cited-line" }, `[${one.event}] `, make("q", {}, one.quote))),
      takeKey !== undefined && button("Take", takeKey, () => take(voice), { class: "take" }),
    );
  }

  function showVoices(models = []) {
    const decided = current.decision ? ["Decided: ", fields.filter((one) => one.required).map((one, nth) => [nth > 0 && " · ", shown(current.decision.fields[one.name])])] : "Not decided.";
    const ask =
      task.runs.length > 0 && models.length === 0
        ? button(task.runs.length > 1 ? "Show the models’ answers" : "Show the model’s answer", "m", askModels, { id: "models", title: "that you looked is recorded" })
        : null;
    fill(
      voices,
      make("div", { class: "verdict" }, VERDICTS[current.verdict], " ", decided, current.model_shown && models.length === 0 && " A model’s answer was looked at."),
      make("div", { class: "columns" }, current.voices.map((voice, nth) => column(voice, TAKE_KEYS[nth] ?? null, false)), models.map((voice) => column(voice, undefined, true))),
      ask,
    );
  }

  async function open(place) {
    busy = true;
    alarm("");
    try {
      const [found] = await Promise.all([get(`/api/units/${place}`), fetchMaterial(place).catch(() => null)]);
      at = place;
      current = found;
      form.set(found.decision ?? { fields: found.settled, note: "", evidence: [] });
      showVoices();
      byId("unit-name").textContent = `${place + 1} of ${units.length} · ${found.name}`;
      document.title = `${place + 1} · ${task.question.title}`;
      state.textContent = found.decision ? "Decided earlier." : "";
      await showMaterial(place);
      byId("unit-name").focus({ preventScroll: true });
      begin();
    } catch (error) {
      alarm(error.message);
    }
    busy = false;
  }

  async function refresh(saved, path) {
    // A decision changes one of them, the rest at once and what is taken back may change many.
    if (path.endsWith("/decision")) units[saved.at].state = "done";
    else units = (await get("/api/units")).units;
    rest = saved.rest;
    showProgress(saved.progress);
    showSettling();
  }

  async function act(path, body, done) {
    if (busy) return;
    busy = true;
    alarm("");
    try {
      const saved = await post(path, body);
      await refresh(saved, path);
      busy = false;
      await done(saved);
    } catch (error) {
      say("");
      alarm(error.message);
    }
    busy = false;
  }

  const decision = (body) =>
    act(`/api/units/${at}/decision`, { ...body, seconds: seconds() }, async (saved) => {
      await open(saved.next ?? saved.at);
      say(saved.next === null ? "Saved. All are decided." : `Saved ${saved.at + 1}.`);
    });

  function take(voice) {
    const { note } = form.get();
    const evidence = voice.evidence.map(({ event, quote }) => ({ event, quote }));
    return decision({ fields: voice.fields, evidence, note, taken_from: voice.rater });
  }

  function save() {
    const missing = form.missing();
    if (missing) {
      alarm(`${words(missing.form.name)} is missing`);
      missing.focus();
      return;
    }
    return decision(form.get());
  }

  const undo = () =>
    act("/api/undo", {}, async (saved) => {
      await open(saved.at);
      say(`Taken back: ${saved.at + 1}.`);
    });

  async function askModels() {
    try {
      const { models } = await post(`/api/units/${at}/models`);
      current.model_shown = true;
      showVoices(models);
      say("That you looked is recorded.");
    } catch (error) {
      alarm(error.message);
    }
  }

  function settle(which, count, text) {
    const dialog = byId("ask");
    const go = () => {
      dialog.close();
      act("/api/settle", { which, count }, async (saved) => {
        await open(saved.next ?? at);
        say(`${plural(count, "gold answer")} saved.`);
      });
    };
    fill(
      dialog,
      make("h2", {}, `${text}?`),
      make("p", {}, `${plural(count, "gold answer")} will be written at once. Undo takes them back together.`),
      make("div", { class: "actions" }, button("Write them", null, go, { id: "settle-yes", class: "main" }), button("Leave it", null, () => dialog.close(), { id: "settle-no" })),
    );
    dialog.showModal();
  }

  function move(by) {
    if (busy) return;
    const place = step(units, at, by);
    if (place === null) say(by > 0 ? "This is the last one." : "This is the first one.");
    else open(place);
  }

  const jump = () => showList(units, at, open, STATES, FILTERS);
  const round = () => showRound(open).catch((error) => alarm(error.message));
  const hasRound = task.shared >= task.round_from;
  fill(
    byId("tools"),
    button("Previous", "k", () => move(-1), { id: "previous" }),
    button("Units", "g", jump, { id: "units" }),
    button("Next", "j", () => move(1), { id: "next" }),
    hasRound && button("Codebook round", "f", round, { id: "round-button" }),
    button("Keys", "?", help, { id: "keys" }),
  );
  TAKE_KEYS.forEach((name, nth) =>
    bind(name, "Page", `take the answer of rater ${nth + 1}`, () => current?.voices[nth] && take(current.voices[nth])),
  );
  if (task.runs.length > 0) bind("m", "Page", "show the model’s answer", () => byId("models")?.click());
  bind("Enter", "Page", "save and go on", () => save());
  bind("u", "Page", "undo", () => undo());
  bind("k", "Page", "previous", () => move(-1));
  bind("j", "Page", "next", () => move(1));
  bind("g", "Page", "go to a unit, filter", jump);
  if (hasRound) bind("f", "Page", "codebook round", round);

  byId("title").textContent = task.question.title;
  byId("who").textContent = `decided by ${task.rater}${task.redacted ? " · secrets replaced" : ""}`;
  const pile = await get("/api/units");
  units = pile.units;
  rest = pile.rest;
  showProgress(pile.progress);
  showSettling();
  await open(pile.next ?? 0);
  if (pile.next === null) say("All are decided.");
  else if (hasRound && pile.progress.done === 0) {
    // Before the first decision, and not over the work of somebody who has begun meanwhile.
    let begun = false;
    for (const kind of ["keydown", "pointerdown"]) addEventListener(kind, () => (begun = true), { once: true, capture: true });
    await showRound(open, () => !begun);
  }
}
