//! Results for people: text and tables for the terminal.

pub mod batch;
pub mod cache;
pub mod estimate;
pub mod html;
pub mod compare;
pub mod sample;
pub mod sessions;
pub mod spending;
pub mod judged;
pub mod listing;
pub mod totals;
pub mod transcript;
pub mod terminal;
pub mod why;
pub mod runs;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// A table without lines; the columns of `numbers` are set to the right.
pub fn grid(header: &[&str], numbers: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.to_vec());
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if numbers.contains(&at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// `1 prompt`, `2 prompts`.
pub fn plural(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// A time as people say it, to the minute.
pub fn duration(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round() as u64;
    if minutes >= 60 { format!("{} h {:02} min", minutes / 60, minutes % 60) } else { format!("{minutes} min") }
}

/// A cost as people write it; `unknown` where no price is known.
pub fn dollars(cost: Option<f64>) -> String {
    match cost {
        None => "unknown".to_owned(),
        Some(cost) if cost == 0.0 || cost >= 0.995 => format!("${cost:.2}"),
        // Two digits that say something: what is small a label is much a million of them.
        Some(cost) => {
            let digits = (1 - cost.abs().log10().floor() as i32).clamp(2, 9) as usize;
            format!("${cost:.digits$}")
        }
    }
}

/// A table as text, without blanks at the ends of its lines.
pub fn text(table: &Table) -> String {
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}
