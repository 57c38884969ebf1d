// The codebook round: how far two raters agree, and the units on which they differ, put together by what each of them said.

import { byId, fill, make, plural, words } from "./make.js";
import { get } from "./wire.js";

function number(value) {
  return value === null ? "—" : value.toFixed(2).replace("-", "−");
}

function figureRow({ field, name, value, low, high, undefined: why }) {
  const interval = low === null || high === null ? (why ?? "no interval") : `${number(low)} to ${number(high)}`;
  return make("tr", {}, make("th", { scope: "row" }, words(field)), make("td", {}, name), make("td", { class: "value" }, number(value)), make("td", {}, interval));
}

function caseRow(pair, one, go) {
  const voice = (rater, said, note) => make("td", {}, make("b", {}, words(said)), note ? make("p", { class: "said" }, note) : make("p", { class: "none" }, `no note by ${rater}`));
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, make("button", { type: "button", click: () => go(one.at), data: { at: one.at } }, `${one.at + 1}`)),
    voice(pair.a, one.a, one.a_note),
    voice(pair.b, one.b, one.b_note),
  );
}

function pairPart(pair, go) {
  return [
    make("h3", {}, `${pair.a} and ${pair.b}, ${plural(pair.items, "unit")}`),
    make(
      "table",
      { class: "figures" },
      make("thead", {}, make("tr", {}, ["field", "figure", "value", "95 % interval"].map((text) => make("th", { scope: "col" }, text)))),
      make("tbody", {}, pair.figures.map(figureRow)),
    ),
    pair.open.length === 0 && make("p", {}, "They differ nowhere."),
    pair.open.map((group) =>
      make(
        "section",
        { class: "group" },
        make("h4", {}, `${words(group.field)}: ${words(group.between)} · ${plural(group.cases.length, "unit")}`),
        make(
          "table",
          {},
          make("thead", {}, make("tr", {}, ["unit", pair.a, pair.b].map((text) => make("th", { scope: "col" }, text)))),
          make("tbody", {}, group.cases.map((one) => caseRow(pair, one, go))),
        ),
      ),
    ),
  ];
}

/// Shows the round; `open` is told which case is wanted. Its figures take a moment: `isWanted` says whether it still is.
export async function showRound(open, isWanted = () => true) {
  const dialog = byId("round");
  const round = await get("/api/round");
  if (!isWanted() || dialog.open) return;
  const go = (at) => {
    dialog.close();
    open(at);
  };
  fill(
    dialog,
    make("div", { class: "list-head" }, make("h2", {}, "Codebook round"), make("form", { method: "dialog" }, make("button", { autofocus: true }, "Close"))),
    make("p", { class: "description" }, "Each group is a question that the codebook leaves open. Settle it, write it down there, and label the next units by the new words."),
    round.pairs.length === 0 && make("p", {}, `From ${round.needed} units on that two raters labelled, their agreement is shown here.`),
    round.pairs.map((pair) => pairPart(pair, go)),
  );
  dialog.showModal();
}
