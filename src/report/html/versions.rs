//! How agreement changed with the codebook.

use super::parts::{Cell, Page, table};
use crate::agreement::estimate::short;
use crate::chart::lines::{Series, lines};
use crate::dossier::TaskDossier;
use crate::dossier::versions::FieldVersions;
use crate::markup::{Markup, classed};

/// The section.
pub fn inside(task: &TaskDossier, page: &Page) -> Markup {
    task.versions.iter().filter(|field| !field.series.is_empty()).map(|field| one(field, page)).collect()
}

fn one(field: &FieldVersions, page: &Page) -> Markup {
    let (symbol, name) = if field.metric == "cohen_kappa" { ("κ", "Cohen’s κ") } else { ("ICC(A,1)", "ICC(A,1)") };
    let versions: Vec<&str> = field.versions.iter().map(String::as_str).collect();
    let place = |version: &str| versions.iter().position(|known| *known == version);
    let series: Vec<Series<'_>> = (field.series.iter())
        .map(|one| Series {
            name: &one.model,
            values: (one.figures.iter()).filter_map(|figure| Some((place(&figure.version)?, figure.value?))).collect(),
        })
        .collect();
    let rows = (field.series.iter())
        .flat_map(|one| one.figures.iter().map(move |figure| (one, figure)))
        .map(|(one, figure)| {
            vec![
                Cell::text(one.model.as_str()),
                Cell::text(figure.version.as_str()),
                Cell::ranked(figure.value.map_or("undefined".to_owned(), short), figure.value),
                Cell::count(figure.items as usize),
                Cell::text(figure.gold.as_str()),
                Cell::text(figure.at.strftime("%Y-%m-%d %H:%M").to_string()),
                Cell::count(figure.times),
            ]
        })
        .collect();
    let header = ["model", "codebook", &format!("#{symbol}"), "#units", "gold", "scored (UTC)", "#times scored"];
    let title = format!("{} · {name} over versions of the codebook", field.field);
    let numbers = table(&title, &header, rows);
    let mut made = match versions.len() {
        // A line needs two places.
        1 => numbers,
        _ => page.figure(
            &title,
            "Each model’s latest figure under each version, from the ledger of the store. Where the gold changed as well, figures cannot be \
             compared: the table says on which gold each stands.",
            |caption| lines(caption, symbol, &versions, &series),
            numbers,
        ),
    };
    if field.untold > 0 {
        let told =
            format!("{} lines of the ledger are of runs that are not here, whose codebook nobody knows.", field.untold);
        made.push(classed("p", "note").text(told));
    }
    made
}
