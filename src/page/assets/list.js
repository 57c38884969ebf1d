// The pile: a list to jump in, and the filter that moving about keeps to.

import { byId, fill, make } from "./make.js";

const SHOWN = 300;
const STATES = { todo: "to do", done: "done", skipped: "skipped" };
const MARKS = { todo: "○", done: "●", skipped: "◐" };

export const FILTERS = [
  ["all", "all"],
  ["todo", "to do"],
  ["done", "done"],
  ["skipped", "skipped"],
  ["noted", "with a note"],
];

let filter = "all";

export function matches(unit) {
  return filter === "all" || (filter === "noted" ? unit.noted === true : unit.state === filter);
}

/// The next place in a direction that the filter lets through.
export function step(units, from, by) {
  for (let at = from + by; at >= 0 && at < units.length; at += by) if (matches(units[at])) return at;
  return null;
}

/// Shows the list; `open` is told where to go.
export function showList(units, current, open, states = STATES, filters = FILTERS) {
  const dialog = byId("list");
  const search = make("input", { type: "search", id: "list-search", placeholder: "number or id", "aria-label": "Number or id" });
  const select = make("select", { id: "list-filter", "aria-label": "Which units" }, filters.map(([value, text]) => make("option", { value, selected: value === filter }, text)));
  const list = make("ol", { class: "units" });
  const count = make("p", { class: "count", role: "status" });
  const go = (at) => () => {
    dialog.close();
    open(at);
  };
  const draw = () => {
    filter = select.value;
    const wanted = search.value.trim().toLowerCase();
    const found = [];
    units.forEach((unit, at) => {
      if (!matches(unit)) return;
      if (wanted && String(at + 1) !== wanted && !unit.name.toLowerCase().includes(wanted)) return;
      found.push(at);
    });
    fill(
      list,
      found.slice(0, SHOWN).map((at) => {
        const { name, state, noted } = units[at];
        const text = [make("span", { "aria-hidden": "true", class: "mark" }, MARKS[state] ?? "○"), `${at + 1}`, make("span", { class: "id" }, name), make("span", { class: "state" }, states[state] ?? state), noted && make("span", { class: "state" }, "note")];
        return make("li", {}, make("button", { type: "button", click: go(at), data: { at, state }, "aria-current": at === current ? "true" : null }, text));
      }),
    );
    count.textContent = found.length > SHOWN ? `${found.length} units; the first ${SHOWN} are shown` : `${found.length} units`;
  };
  search.addEventListener("input", draw);
  select.addEventListener("change", draw);
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    list.querySelector("button")?.click();
  });
  fill(dialog, make("div", { class: "list-head" }, search, select, make("form", { method: "dialog" }, make("button", {}, "Close"))), count, list);
  draw();
  dialog.showModal();
  search.focus();
  list.querySelector("[aria-current]")?.scrollIntoView({ block: "center" });
}
