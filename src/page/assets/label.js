// Labelling: one unit after the other. A unit counts as saved when the server says that it is on disk.

import { begin, seconds } from "./clock.js";
import { buildForm } from "./form.js";
import { bind, help } from "./keys.js";
import { showList, step } from "./list.js";
import { alarm, button, byId, fill, make, plural, say, words } from "./make.js";
import { fetchMaterial, showMaterial } from "./material.js";
import { get, post } from "./wire.js";

export async function label(task) {
  let units = [];
  let at = null;
  let busy = true;
  let dirty = false;
  // Seconds of the units labelled on this page, for those who plan the next round.
  const taken = [];
  const drafts = new Map();

  const required = task.question.fields.filter((one) => one.required);
  const canBeQuick = required.length === 1 && required[0].type === "label";
  const quick = make("input", { type: "checkbox", id: "quick" });
  quick.checked = canBeQuick;

  const form = buildForm(task.question, (how) => {
    dirty = true;
    if (how === "key" && canBeQuick && quick.checked) save();
  });
  const saveButton = button("Save and go on", "Enter", () => save(), { id: "save", class: "main" });
  const skipButton = button("Skip", "s", () => skip(), { id: "skip" });
  const undoButton = button("Undo", "u", () => undo(), { id: "undo" });
  const state = make("p", { id: "state" });
  form.element.append(
    canBeQuick ? make("label", { class: "quick", for: "quick" }, quick, "a label’s key saves at once") : "",
    make("div", { class: "actions" }, saveButton, skipButton, undoButton, state),
  );
  fill(byId("side"), form.element);

  function showProgress(progress) {
    byId("progress").max = Math.max(1, progress.units);
    byId("progress").value = progress.done;
    const skipped = progress.skipped > 0 ? `, ${progress.skipped} skipped` : "";
    const middle = [...taken].sort((a, b) => a - b)[Math.floor(taken.length / 2)];
    const pace = taken.length > 2 ? ` · ${Math.round(middle)} s each` : "";
    byId("progress-text").textContent = `${progress.done} of ${progress.units}${skipped}${pace}`;
  }

  function showState(given) {
    const texts = { todo: "", done: "Saved earlier.", skipped: "Skipped earlier." };
    state.textContent = texts[given.state];
    skipButton.disabled = given.state === "done";
  }

  async function open(place) {
    busy = true;
    if (dirty && at !== null) drafts.set(at, form.get());
    alarm("");
    try {
      const [given] = await Promise.all([get(`/api/units/${place}`), fetchMaterial(place).catch(() => null)]);
      at = place;
      const draft = drafts.get(place);
      form.set(draft ?? given);
      dirty = draft !== undefined;
      showState(given);
      byId("unit-name").textContent = `${place + 1} of ${units.length} · ${given.name}`;
      document.title = `${place + 1} · ${task.question.title}`;
      await showMaterial(place);
      form.ready();
      begin();
      const ahead = step(units, place, 1);
      if (ahead !== null) fetchMaterial(ahead).catch(() => null);
    } catch (error) {
      alarm(error.message);
    }
    busy = false;
  }

  function take(saved) {
    units[saved.at].state = saved.state;
    units[saved.at].noted = saved.note !== "";
    drafts.delete(saved.at);
    dirty = false;
    showProgress(saved.progress);
  }

  function finished(progress) {
    const left = progress.skipped > 0 ? ` ${plural(progress.skipped, "unit")} skipped: press g and choose them.` : "";
    say(`All done: ${progress.done} of ${progress.units} labelled.${left}`);
  }

  async function act(path, body, done) {
    if (busy) return;
    busy = true;
    alarm("");
    form.element.setAttribute("aria-busy", "true");
    try {
      const saved = await post(path, body);
      take(saved);
      busy = false;
      await done(saved);
    } catch (error) {
      say("");
      alarm(error.message);
    }
    busy = false;
    form.element.removeAttribute("aria-busy");
  }

  function save() {
    const missing = form.missing();
    if (missing) {
      alarm(`${words(missing.form.name)} is missing`);
      missing.focus();
      return;
    }
    const needed = seconds();
    return act(`/api/units/${at}/answer`, { ...form.get(), seconds: needed }, async (saved) => {
      taken.push(needed);
      say(`Saved ${saved.at + 1}.`);
      if (saved.next === null) {
        await open(saved.at);
        finished(saved.progress);
      } else await open(saved.next);
    });
  }

  function skip() {
    if (skipButton.disabled) return;
    return act(`/api/units/${at}/skip`, { note: form.get().note, seconds: seconds() }, async (saved) => {
      say(`Skipped ${saved.at + 1}.`);
      await open(saved.next ?? saved.at);
    });
  }

  function undo() {
    return act("/api/undo", {}, async (saved) => {
      say(`Taken back: ${saved.at + 1}.`);
      await open(saved.at);
    });
  }

  function move(by) {
    if (busy) return;
    const place = step(units, at, by);
    if (place === null) say(by > 0 ? "This is the last one." : "This is the first one.");
    else open(place);
  }

  const jump = () => showList(units, at, open);
  fill(
    byId("tools"),
    button("Previous", "k", () => move(-1), { id: "previous" }),
    button("Units", "g", jump, { id: "units" }),
    button("Next", "j", () => move(1), { id: "next" }),
    button("Keys", "?", help, { id: "keys" }),
  );
  bind("Enter", "Page", "save and go on", () => save());
  bind("s", "Page", "skip", () => skip());
  bind("u", "Page", "undo", () => undo());
  bind("k", "Page", "previous unit", () => move(-1));
  bind("j", "Page", "next unit", () => move(1));
  bind("g", "Page", "go to a unit, filter", jump);

  byId("title").textContent = task.question.title;
  byId("who").textContent = `labelled by ${task.rater}${task.redacted ? " · secrets replaced" : ""}`;
  addEventListener("beforeunload", (event) => {
    if (dirty) event.preventDefault();
  });

  const pile = await get("/api/units");
  units = pile.units;
  showProgress(pile.progress);
  await open(pile.next ?? 0);
  if (pile.next === null) finished(pile.progress);
}
