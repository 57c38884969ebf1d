//! Units on which raters differ: what was said, what everybody answered and why. All of them can be read without the script; with it they are
//! shown a few at a time and can be filtered.

use super::parts::{Names, Page};
use crate::chart::scale::percent;
use crate::dossier::TaskDossier;
use crate::dossier::case::{Case, RaterAnswer};
use crate::dossier::excerpt::Said;
use crate::markup::{Markup, Tag, classed, tag};
use crate::report::plural;
use std::collections::BTreeSet;

/// Bytes of all disagreements of a page: with charts and tables it opens in a moment.
const ROOM: usize = 2_600_000;

/// The section, of a page with so many tasks.
pub fn inside(task: &TaskDossier, names: &Names, page: &Page, tasks: usize) -> Markup {
    let found = &task.disagreements;
    let choices = Choices::of(&found.shown, names);
    let (mut cases, mut told) = (Markup::default(), 0);
    for case in &found.shown {
        let made = Markup::from(one(case, &choices, names, page));
        if cases.as_str().len() + made.as_str().len() > ROOM / tasks.max(1) {
            break;
        }
        cases.push(made);
        told += 1;
    }
    let mut made: Markup = tag("p").text(summary(task, told)).into();
    if told > 0 {
        let cases = classed("div", "cases").child(cases);
        made.push(classed("div", "browser").child(choices.controls(page)).child(cases));
    }
    made
}

/// How many are told of how many, which, and why not the others.
fn summary(task: &TaskDossier, told: usize) -> String {
    let found = &task.disagreements;
    let mut text = match (told, found.all) {
        (_, 0) => "No unit that may be shown is answered differently.".to_owned(),
        (told, all) if told == all => format!("All {} on which someone differs.", plural(all as u64, "unit")),
        (told, all) => format!(
            "{told} of {} on which someone differs: of each confusion in turn, first those on which more models differ, humans agree with the \
             gold, and models are surer. All are listed in `interrater report --json`.",
            plural(all as u64, "unit")
        ),
    };
    if found.sealed > 0 {
        text.push_str(&format!(
            " {} of the test split not told: --show-test tells, and then it is no test any more.",
            plural(found.sealed as u64, "unit")
        ));
    }
    if let Some(reason) = &found.without_transcripts {
        text.push_str(&format!(" Without words of the sessions: {reason}."));
    }
    text
}

/// What can be chosen: confusions and raters, by number.
struct Choices {
    cells: Vec<(String, usize)>,
    raters: Vec<(String, usize)>,
}

impl Choices {
    fn of(cases: &[Case], names: &Names) -> Choices {
        let mut choices = Choices { cells: vec![], raters: vec![] };
        for case in cases {
            let found = differing(case, names);
            let cells: BTreeSet<&String> = found.iter().filter_map(|(_, cell)| cell.as_ref()).collect();
            cells.into_iter().for_each(|cell| count(&mut choices.cells, cell));
            found.iter().for_each(|(rater, _)| count(&mut choices.raters, rater));
        }
        choices.cells.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        choices
    }

    /// What a case is found by: `rater:confusion` for each answer that differs, both by number, apart by blanks.
    fn marks(&self, found: &[(&str, Option<String>)]) -> String {
        let place = |choices: &[(String, usize)], name: &str| {
            choices.iter().position(|(known, _)| known == name).map_or(String::new(), |place| place.to_string())
        };
        let mark = |(rater, cell): &(&str, Option<String>)| {
            format!("{}:{}", place(&self.raters, rater), place(&self.cells, cell.as_deref().unwrap_or_default()))
        };
        found.iter().map(mark).collect::<Vec<_>>().join(" ")
    }

    /// Hidden until the script is there to serve them.
    fn controls(&self, page: &Page) -> Tag {
        let select = |name: &'static str, label: &str, choices: &[(String, usize)]| {
            let id = page.id();
            let option = |(nth, (text, count)): (usize, &(String, usize))| {
                tag("option").with("value", nth).text(format!("{text} ({count})"))
            };
            let options = choices.iter().enumerate().map(option);
            let list = tag("select")
                .with("id", &id)
                .with("data-by", name)
                .child(tag("option").with("value", "").text("any"))
                .children(options);
            classed("span", "control").child(tag("label").with("for", &id).text(label)).child(list)
        };
        let id = page.id();
        let words = classed("span", "control")
            .child(tag("label").with("for", &id).text("Words"))
            .child(tag("input").with("id", &id).with("type", "search").with("data-by", "words"));
        let button =
            |step: &'static str, text: &str| tag("button").with("type", "button").with("data-step", step).text(text);
        let mut controls =
            classed("div", "controls").with("hidden", "").with("role", "group").with("aria-label", "Filter");
        if self.cells.len() > 1 {
            controls = controls.child(select("cells", "Confusion", &self.cells));
        }
        controls
            .child(select("raters", "Who differs", &self.raters))
            .child(words)
            .child(classed("span", "control").child(button("-1", "Back")).child(button("1", "Further")))
            .child(tag("output").with("aria-live", "polite"))
            .child(
                classed("p", "keys").text("Keys: j and k to the next and the one before, when the focus is on a unit."),
            )
    }
}

fn count(counts: &mut Vec<(String, usize)>, name: &str) {
    match counts.iter_mut().find(|(known, _)| *known == name) {
        Some((_, count)) => *count += 1,
        None => counts.push((name.to_owned(), 1)),
    }
}

/// Each answer that differs with its rater and, where answers are labels, with its confusion: `reference → answer`.
fn differing<'c>(case: &'c Case, names: &'c Names) -> Vec<(&'c str, Option<String>)> {
    let is_label = |text: &&String| text.chars().count() <= 40 && text.parse::<f64>().is_err() && !text.contains(", ");
    let reference = case.reference.as_ref().filter(is_label);
    let differ = case.answers.iter().filter(|answer| answer.differs);
    differ
        .map(|answer| {
            let cell = reference.zip(answer.answer.as_ref()).map(|(wanted, given)| format!("{wanted} → {given}"));
            (names.get(&answer.rater), cell)
        })
        .collect()
}

fn one(case: &Case, choices: &Choices, names: &Names, page: &Page) -> Tag {
    let id = page.id();
    let heading = match &case.reference {
        Some(reference) => format!("{} · gold: {reference}", case.field),
        None => case.field.clone(),
    };
    let split = case.split.map(|split| format!(" · {split}")).unwrap_or_default();
    let mut card = classed("article", "case")
        .with("tabindex", "0")
        .with("aria-labelledby", &id)
        .with("data-found", choices.marks(&differing(case, names)))
        .child(tag("h4").with("id", &id).text(heading))
        .child(classed("p", "unit").child(tag("code").text(case.unit.as_str())).text(split));
    match &case.excerpt {
        Some(excerpt) => card = card.children(excerpt.parts.iter().map(said)),
        None => card = card.child(classed("p", "note").text("The transcript is not here.")),
    }
    card.child(classed("ul", "answers").children(case.answers.iter().map(|answer| answered(answer, names))))
}

fn said(said: &Said) -> Tag {
    let class = match (said.who, said.is_target) {
        (_, true) => "said target",
        ("person", _) => "said person",
        _ => "said agent",
    };
    let left_out = if said.left_out > 0 { format!(", {} more characters", said.left_out) } else { String::new() };
    classed("div", class)
        .child(classed("p", "who").text(format!("{}, event {}{left_out}", said.who, said.event)))
        .child(tag("blockquote").with("dir", "auto").text(&said.text))
}

fn answered(answer: &RaterAnswer, names: &Names) -> Tag {
    let mark = match (answer.answer.is_some(), answer.differs) {
        (false, _) => "–",
        (_, true) => "≠",
        _ => "=",
    };
    let given = match (&answer.answer, answer.status) {
        (Some(given), _) => given.clone(),
        (None, Some(status)) => status.name().to_owned(),
        (None, None) => "no answer".to_owned(),
    };
    let mut notes = vec![];
    notes.extend(answer.sure.map(|sure| format!("{} sure", percent(sure))));
    notes.extend(answer.coverage.filter(|seen| *seen < 1.0).map(|seen| format!("saw {} of the text", percent(seen))));
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
    let mut item = classed("li", if answer.differs { "differs" } else { "same" })
        .child(classed("span", "mark").with("aria-hidden", "true").text(mark))
        .child(tag("b").text(names.get(&answer.rater)))
        .text(": ")
        .child(tag("span").text(&given))
        .child(classed("span", "quiet").text(format!("{}{notes}", if answer.differs { " differs" } else { "" })));
    for (field, text) in &answer.texts {
        let line =
            classed("p", "reason").with("dir", "auto").child(classed("span", "quiet").text(format!("{field}: ")));
        item = item.child(line.text(text));
    }
    for evidence in &answer.evidence {
        let found = if evidence.found { "" } else { " – not in the transcript" };
        let line = classed("p", "reason").with("dir", "auto").text(format!("“{}”", evidence.quote));
        item = item.child(line.child(classed("span", "quiet").text(format!(" event {}{found}", evidence.event))));
    }
    if let Some(note) = &answer.note {
        item = item.child(
            classed("p", "reason").with("dir", "auto").child(classed("span", "quiet").text("note: ")).text(note),
        );
    }
    item
}
