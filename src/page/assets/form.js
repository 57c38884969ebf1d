// The form: the codebook's fields in their order, evidence, a note, and what can be done with them.

import { field } from "./fields.js";
import { bind } from "./keys.js";
import { alarm, button, byId, key, make, say, words } from "./make.js";
import { selected } from "./material.js";

function evidenceField(form, change) {
  let cited = [];
  const list = make("ol", { class: "cited" });
  const draw = () =>
    list.replaceChildren(
      ...cited.map((one, at) =>
        make(
          "li",
          { data: { event: one.event } },
          make("span", { class: "event-number" }, `[${one.event}]`),
          make("q", {}, one.quote),
          one.found === false && make("span", { class: "wrong" }, "not in the transcript"),
          make("button", { type: "button", class: "remove", "aria-label": `remove “${one.quote.slice(0, 40)}”`, click: () => remove(at) }, "×"),
        ),
      ),
    );
  const remove = (at) => {
    cited.splice(at, 1);
    draw();
    change();
  };
  const cite = (one) => {
    alarm("");
    cited.push(one);
    draw();
    change();
    say(`evidence of event ${one.event} added`);
  };
  const add = () => {
    const { event, quote, trouble } = selected();
    if (trouble) return alarm(trouble);
    document.getSelection().removeAllRanges();
    cite({ event, quote });
  };
  // For those who select nothing with a pointer.
  const number = make("input", { type: "number", min: 1, class: "digits", "aria-label": "number of the event" });
  const quote = make("input", { type: "text", class: "quote", "aria-label": "its words" });
  const type = () => {
    if (!(Number(number.value) > 0) || quote.value.trim() === "") return alarm("write the event’s number and words of it");
    cite({ event: Number(number.value), quote: quote.value.trim() });
    number.value = quote.value = "";
  };
  return {
    form,
    element: make(
      "fieldset",
      { class: "field evidence", data: { field: form.name }, id: `field-${form.name}` },
      make("legend", {}, words(form.name), make("span", { class: "optional" }, "optional")),
      form.description && make("p", { class: "description" }, form.description),
      list,
      button("Cite what is selected", form.key, add, { id: "cite" }),
      make("details", { class: "by-hand" }, make("summary", {}, "type it"), make("div", { class: "score-row" }, number, quote, button("Cite", null, type, { id: "cite-typed" }))),
    ),
    get: () => cited.map(({ event, quote }) => ({ event, quote })),
    set: (value) => {
      cited = structuredClone(value ?? []);
      draw();
    },
    focus: add,
    keys: [],
  };
}

/// Builds the form of a question. `changed(how)` is told of every change; `how` is "key" where a label's key was pressed.
export function buildForm(question, changed) {
  const touched = (how) => () => changed(how);
  const fields = question.fields.map((form) => (form.type === "evidence" ? evidenceField(form, touched("hand")) : field(form, touched("hand"))));
  const note = make("textarea", { id: "note", rows: 2, input: touched("hand") });
  const element = make(
    "form",
    { id: "form", autocomplete: "off", submit: (event) => event.preventDefault() },
    // What an answer needs comes first; what explains it, after it.
    fields.filter((one) => one.form.required).map((one) => one.element),
    fields.filter((one) => !one.form.required).map((one) => one.element),
    make("div", { class: "field note" }, make("label", { for: "note" }, "Note", key("n")), note),
  );
  const isEmpty = (value) => value === null || (typeof value === "object" && Object.values(value).includes(null));
  for (const one of fields) {
    const { form } = one;
    if (!form.required && !["text", "evidence"].includes(form.type)) {
      const clear = () => (one.set(null), changed("hand"));
      one.element.querySelector("legend").append(make("button", { type: "button", class: "clear", click: clear, "aria-label": `clear ${words(form.name)}` }, "clear"));
    }
    for (const [name, meaning, act] of one.keys) bind(name, words(form.name), meaning, () => (act(), changed(form.type === "label" ? "key" : "hand")));
    if (form.key && form.type !== "flag") bind(form.key, "Fields", words(form.name), () => one.focus());
  }
  bind("n", "Fields", "note", () => note.focus());
  const plain = fields.filter(({ form }) => form.type !== "evidence");
  const cited = fields.filter(({ form }) => form.type === "evidence");
  return {
    element,
    fields,
    get: () => ({
      fields: Object.fromEntries(plain.map((one) => [one.form.name, one.get()])),
      evidence: cited.flatMap((one) => one.get()),
      note: note.value.trim(),
    }),
    set(given) {
      plain.forEach((one) => one.set(given.fields?.[one.form.name] ?? null));
      cited.forEach((one, at) => one.set(at === 0 ? given.evidence : []));
      note.value = given.note ?? "";
    },
    /// The first field that an answer needs and that is empty, or that is only half filled in.
    missing: () => plain.find((one) => {
      const value = one.get();
      return one.form.required ? isEmpty(value) : value !== null && isEmpty(value);
    }),
    /// Puts the cursor where typing begins, if the first thing to be given is typed.
    ready() {
      const first = plain.find((one) => one.form.required) ?? plain[0];
      if (first && ["score", "number", "shares"].includes(first.form.type)) first.focus();
      else byId("unit-name").focus({ preventScroll: true });
    },
  };
}
