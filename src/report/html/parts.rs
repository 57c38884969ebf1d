//! What every section is made of: figures with their numbers beside them, tables that can be sorted, names of raters.

use crate::chart::Caption;
use crate::chart::scale::{number, percent};
use crate::dossier::TaskDossier;
use crate::markup::{Markup, Tag, classed, tag};
use std::cell::Cell as Counter;
use std::collections::HashMap;

/// Pairs of humans of a task that are drawn: of many raters there are very many.
pub const MOST_HUMAN_PAIRS: usize = 12;

/// Pairs of a task with a model in them that are drawn.
pub const MOST_PAIRS: usize = 24;

/// A page in the making: gives ids that are used once.
#[derive(Debug, Default)]
pub struct Page {
    ids: Counter<u32>,
}

impl Page {
    /// An id.
    pub fn id(&self) -> String {
        self.ids.set(self.ids.get() + 1);
        format!("x{}", self.ids.get())
    }

    /// A chart with a title, a sentence on how to read it, and its numbers as a table that can be unfolded.
    pub fn figure(
        &self,
        title: &str,
        note: &str,
        draw: impl FnOnce(Caption<'_>) -> Markup,
        numbers: impl Into<Markup>,
    ) -> Markup {
        let id = self.id();
        let caption = tag("figcaption").child(tag("strong").text(title)).text(" ").child(tag("span").text(note));
        let drawn = classed("div", "drawing").child(draw(Caption { id: &id, title, description: note }));
        tag("figure").child(caption).child(drawn).child(folded("Numbers", numbers)).into()
    }
}

/// Something that can be unfolded.
pub fn folded(summary: &str, inside: impl Into<Markup>) -> Tag {
    tag("details").child(tag("summary").text(summary)).child(inside)
}

/// A table's cell: what stands in it, and what it is sorted by.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    rank: Option<f64>,
}

impl Cell {
    /// A text.
    pub fn text(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), rank: None }
    }

    /// A count.
    pub fn count(count: usize) -> Cell {
        Cell { text: thousands(count as u64), rank: Some(count as f64) }
    }

    /// A number as it is written, sorted by its value.
    pub fn ranked(text: impl Into<String>, value: Option<f64>) -> Cell {
        Cell { text: text.into(), rank: value }
    }

    /// A share as percent.
    pub fn share(share: Option<f64>) -> Cell {
        Cell { text: share.map_or("–".to_owned(), percent), rank: share }
    }

    /// A plain number.
    pub fn number(value: Option<f64>) -> Cell {
        Cell { text: value.map_or("–".to_owned(), number), rank: value }
    }
}

/// A table; the columns whose names begin with `#` hold numbers, the first one names its row.
pub fn table(caption: &str, header: &[&str], rows: Vec<Vec<Cell>>) -> Markup {
    let is_number: Vec<bool> = header.iter().map(|name| name.starts_with('#')).collect();
    let head = header.iter().zip(&is_number).map(|(name, &is_number)| {
        let cell = tag("th").with("scope", "col").text(name.trim_start_matches('#'));
        if is_number { cell.with("class", "n") } else { cell }
    });
    let row = |cells: Vec<Cell>| {
        let cells = cells.into_iter().zip(&is_number).enumerate().map(|(nth, (cell, &is_number))| {
            let made = if nth == 0 { tag("th").with("scope", "row") } else { tag("td") };
            let made = if is_number { made.with("class", "n") } else { made };
            let made = match cell.rank {
                Some(rank) if rank.is_finite() => made.with("data-n", rank),
                _ => made,
            };
            made.text(cell.text)
        });
        tag("tr").children(cells)
    };
    let table = classed("table", "sortable")
        .child(tag("caption").text(caption))
        .child(tag("thead").child(tag("tr").children(head)))
        .child(tag("tbody").children(rows.into_iter().map(row)));
    classed("div", "wide").child(table).into()
}

/// A list of facts.
pub fn facts(facts: Vec<(&str, String)>) -> Markup {
    let pair =
        |(name, text): (&str, String)| -> Markup { [tag("dt").text(name), tag("dd").text(text)].into_iter().collect() };
    tag("dl").children(facts.into_iter().map(pair)).into()
}

/// 12345 as 12 345, with a narrow space that does not break.
pub fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) && digits.len() > 4 {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// What raters are called on the page: a model's name where one run has it, else the run's.
#[derive(Debug)]
pub struct Names(HashMap<String, String>);

impl Names {
    /// Those of a task's raters.
    pub fn of(task: &TaskDossier) -> Names {
        let same = |model: &str| task.runs.iter().filter(|run| run.manifest.model == model).count();
        let name = |run: &crate::dossier::run::RunDossier| {
            if same(&run.manifest.model) == 1 { run.manifest.model.clone() } else { run.run.clone() }
        };
        Names(task.runs.iter().map(|run| (run.rater.clone(), name(run))).collect())
    }

    /// What `rater` is called.
    pub fn get<'n>(&'n self, rater: &'n str) -> &'n str {
        self.0.get(rater).map_or(rater, String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tables_cells_are_escaped_and_know_their_rank() {
        let made = table("c", &["name", "#count"], vec![vec![Cell::text("<b>"), Cell::count(12_345)]]);
        let made = made.as_str();
        assert!(made.contains("<th scope=\"col\">name</th><th scope=\"col\" class=\"n\">count</th>"), "{made}");
        assert!(
            made.contains("<th scope=\"row\">&lt;b&gt;</th><td class=\"n\" data-n=\"12345\">12\u{202f}345</td>"),
            "{made}"
        );
    }

    #[test]
    fn ids_are_used_once_and_numbers_of_four_digits_are_not_parted() {
        let page = Page::default();
        assert_ne!(page.id(), page.id());
        assert_eq!([thousands(7), thousands(1234), thousands(1_234_567)], ["7", "1234", "1\u{202f}234\u{202f}567"]);
    }
}
