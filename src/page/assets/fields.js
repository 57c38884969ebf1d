// One field of the form for each type of a codebook. A field is { element, get, set, focus, press }: `get` gives null for a missing answer.

import { button, key, make, words } from "./make.js";

let count = 0;
const freshId = () => `field-${(count += 1)}`;

function frame(form, ...children) {
  return make(
    "fieldset",
    { class: `field ${form.type}`, data: { field: form.name }, id: `field-${form.name}` },
    make("legend", {}, words(form.name), !form.required && make("span", { class: "optional" }, "optional"), form.type !== "evidence" && key(form.key)),
    form.description && make("p", { class: "description" }, form.description),
    ...children,
  );
}

function meaning(choice) {
  return [
    make("span", { class: "definition" }, choice.definition),
    choice.examples?.length > 0 && make("span", { class: "examples" }, choice.examples.map((example) => make("q", {}, example))),
  ];
}

function option(type, form, choice, change) {
  const id = freshId();
  const input = make("input", { type, id, name: `field ${form.name}`, value: choice.name, change, "aria-keyshortcuts": choice.key });
  const row = make("label", { for: id, class: "option", data: { label: choice.name } }, input, key(choice.key), make("span", { class: "name" }, words(choice.name)), meaning(choice));
  return { input, row, choice };
}

function label(form, change) {
  const options = form.choices.map((choice) => option("radio", form, choice, change));
  const pick = (name) => options.forEach(({ input, choice }) => (input.checked = choice.name === name));
  return {
    element: frame(form, options.map(({ row }) => row)),
    get: () => options.find(({ input }) => input.checked)?.choice.name ?? null,
    set: pick,
    focus: () => (options.find(({ input }) => input.checked) ?? options[0]).input.focus(),
    keys: options.filter(({ choice }) => choice.key).map(({ choice }) => [choice.key, words(choice.name), () => pick(choice.name)]),
  };
}

function labels(form, change) {
  const options = form.choices.map((choice) => option("checkbox", form, choice, () => ((none.input.checked = false), change())));
  const none = option("checkbox", form, { name: "none of these", definition: "" }, () => {
    if (none.input.checked) options.forEach(({ input }) => (input.checked = false));
    change();
  });
  const toggle = ({ input }) => {
    input.checked = !input.checked;
    none.input.checked = false;
  };
  return {
    element: frame(form, options.map(({ row }) => row), none.row),
    get() {
      const chosen = options.filter(({ input }) => input.checked).map(({ choice }) => choice.name);
      return chosen.length > 0 || none.input.checked ? chosen : null;
    },
    set(value) {
      options.forEach(({ input, choice }) => (input.checked = value?.includes(choice.name) ?? false));
      none.input.checked = value?.length === 0;
    },
    focus: () => options[0].input.focus(),
    keys: options.filter(({ choice }) => choice.key).map((one) => [one.choice.key, words(one.choice.name), () => toggle(one)]),
  };
}

function score(form, change) {
  const [min, max] = form.range;
  const id = freshId();
  const number = make("input", { type: "number", id, min, max, step: 1, inputmode: "numeric", class: "digits" });
  const slider = make("input", { type: "range", min, max, step: 1, "aria-label": `${words(form.name)}, from ${min} to ${max}` });
  const bands = form.bands.map((band) => ({ band, row: make("li", {}, make("b", {}, `${band.from}–${band.to}`), " ", band.definition) }));
  const mark = () => {
    const value = number.value === "" ? null : Number(number.value);
    slider.classList.toggle("unset", value === null);
    if (value !== null) slider.value = String(value);
    for (const { band, row } of bands) {
      const isHere = value !== null && value >= band.from && value <= band.to;
      row.toggleAttribute("aria-current", isHere);
    }
  };
  number.addEventListener("input", () => (mark(), change()));
  slider.addEventListener("input", () => {
    number.value = slider.value;
    mark();
    change();
  });
  return {
    element: frame(
      form,
      make("div", { class: "score-row" }, make("label", { for: id }, `${min} to ${max}`), number, slider),
      bands.length > 0 && make("ul", { class: "bands" }, bands.map(({ row }) => row)),
    ),
    get: () => (number.value === "" ? null : Number(number.value)),
    set(value) {
      number.value = value ?? "";
      if (value === null || value === undefined) slider.value = String((min + max) / 2);
      mark();
    },
    focus: () => (number.focus(), number.select()),
    keys: [],
  };
}

function number(form, change) {
  const input = make("input", { type: "number", step: "any", class: "digits", "aria-label": words(form.name), input: change });
  return {
    element: frame(form, input),
    get: () => (input.value === "" ? null : Number(input.value)),
    set: (value) => (input.value = value ?? ""),
    focus: () => input.focus(),
    keys: [],
  };
}

function yesNo(form, name, [yes, no], change, more = []) {
  const options = [
    [true, yes],
    [false, no],
  ].map(([value, text]) => {
    const id = freshId();
    const input = make("input", { type: "radio", id, name: `field ${form.name} ${name}`, change });
    return { value, input, row: make("label", { for: id, class: "short" }, input, text) };
  });
  const get = () => options.find(({ input }) => input.checked)?.value ?? null;
  const set = (value) => options.forEach((one) => (one.input.checked = one.value === value));
  return {
    row: make("div", { class: "yes-no", role: "radiogroup", "aria-label": words(name), data: { label: name } }, more, options.map(({ row }) => row)),
    get,
    set,
    turn: () => set(get() !== true),
    focus: () => options[0].input.focus(),
  };
}

function flag(form, change) {
  const one = yesNo(form, form.name, ["yes", "no"], change);
  return { element: frame(form, one.row), get: one.get, set: one.set, focus: one.focus, turn: one.turn, keys: form.key ? [[form.key, words(form.name), one.turn]] : [] };
}

function criteria(form, change) {
  const rows = form.choices.map((choice) => {
    const more = [key(choice.key), make("span", { class: "name" }, words(choice.name)), meaning(choice)];
    return { choice, ...yesNo(form, choice.name, ["met", "not met"], change, make("div", { class: "criterion" }, more)) };
  });
  return {
    element: frame(form, rows.map(({ row }) => row)),
    get() {
      if (rows.every((one) => one.get() === null)) return null;
      return Object.fromEntries(rows.map(({ choice, get }) => [choice.name, get()]));
    },
    set: (value) => rows.forEach((one) => one.set(value?.[one.choice.name] ?? null)),
    focus: () => rows[0].focus(),
    keys: rows.filter(({ choice }) => choice.key).map(({ choice, turn }) => [choice.key, words(choice.name), turn]),
  };
}

function text(form, change) {
  const area = make("textarea", { rows: 2, "aria-label": words(form.name), input: change });
  return { element: frame(form, area), get: () => (area.value.trim() === "" ? null : area.value), set: (value) => (area.value = value ?? ""), focus: () => area.focus(), keys: [] };
}

/// Whole numbers in the same proportions that sum to 100: each is rounded down, and the largest remainders get one more.
export function balanced(values) {
  const sum = values.reduce((a, b) => a + b, 0);
  if (sum <= 0) return values;
  const exact = values.map((value) => (value * 100) / sum);
  const floors = exact.map(Math.floor);
  const order = exact.map((value, at) => [value - floors[at], at]).sort((a, b) => b[0] - a[0]);
  const left = 100 - floors.reduce((a, b) => a + b, 0);
  for (const [, at] of order.slice(0, left)) floors[at] += 1;
  return floors;
}

function shares(form, change) {
  const rows = form.choices.map((choice) => {
    const id = freshId();
    const input = make("input", { type: "number", id, min: 0, max: 100, step: "any", class: "digits", inputmode: "decimal" });
    const bar = make("input", { type: "range", min: 0, max: 100, step: 1, value: 0, "aria-label": `${words(choice.name)}, percent` });
    const rest = make("button", { type: "button", class: "rest", title: "give this part what is left" }, "rest");
    const row = make(
      "div",
      { class: "share", data: { label: choice.name } },
      make("label", { for: id }, make("span", { class: "name" }, words(choice.name)), make("span", { class: "definition" }, choice.definition)),
      make("div", { class: "share-row" }, bar, input, make("span", { "aria-hidden": "true" }, "%"), rest),
    );
    return { choice, input, bar, rest, row };
  });
  const sum = make("output", { class: "sum" });
  const value = ({ input }) => Number(input.value === "" ? 0 : input.value);
  const total = () => Math.round(rows.reduce((sum, row) => sum + value(row), 0) * 100) / 100;
  const tell = () => {
    rows.forEach((row) => (row.bar.value = String(value(row))));
    const isEmpty = rows.every(({ input }) => input.value === "");
    const left = Math.round((100 - total()) * 100) / 100;
    sum.textContent = isEmpty ? "parts have to sum to 100" : left === 0 ? "sum 100 ✓" : left > 0 ? `sum ${total()}, ${left} left` : `sum ${total()}, ${-left} too much`;
    sum.classList.toggle("wrong", !isEmpty && left !== 0);
    balance.disabled = isEmpty || left === 0 || total() === 0;
  };
  const put = (row, number) => (row.input.value = String(Math.max(0, Math.round(number * 100) / 100)));
  const changed = () => (tell(), change());
  const balance = button("Scale to 100", null, () => {
    balanced(rows.map(value)).forEach((number, at) => put(rows[at], number));
    changed();
  });
  for (const row of rows) {
    row.input.addEventListener("input", changed);
    row.bar.addEventListener("input", () => (put(row, Number(row.bar.value)), changed()));
    row.rest.addEventListener("click", () => (put(row, value(row) + 100 - total()), changed()));
  }
  return {
    element: frame(form, rows.map(({ row }) => row), make("div", { class: "sum-row" }, sum, balance)),
    get() {
      if (rows.every(({ input }) => input.value === "")) return null;
      return Object.fromEntries(rows.map((row) => [row.choice.name, value(row)]));
    },
    set(parts) {
      rows.forEach((row) => (row.input.value = parts?.[row.choice.name] ?? ""));
      tell();
    },
    focus: () => (rows[0].input.focus(), rows[0].input.select()),
    keys: [],
  };
}

const KINDS = { label, labels, score, number, flag, text, shares, criteria };

export function field(form, change) {
  return { form, ...KINDS[form.type](form, change) };
}
