//! The report as one HTML file. Takes a [`Dossier`], gives a page that needs nothing else: no request, no font, no image.
//!
//! Everything can be read without the script, which only sorts tables and leads through disagreements. All foreign text goes through
//! [`crate::markup`], which escapes it; the policy forbids what would get through all the same.

mod agreement;
mod answers;
mod confidence;
mod confusion;
mod disagreements;
mod manifests;
mod overview;
mod parts;
mod policy;
mod scores;
mod task;
mod trust;
mod units;
mod versions;

use crate::dossier::Dossier;
use crate::markup::{Markup, Tag, classed, tag};
use crate::report::plural;
use parts::Page;

const STYLE: &str = include_str!("html/report.css");
const SCRIPT: &str = include_str!("html/report.js");

/// The page.
pub fn page(dossier: &Dossier) -> Markup {
    let page = Page::default();
    let head = tag("head")
        .child(tag("meta").with("charset", "utf-8"))
        .child(tag("meta").with("http-equiv", "Content-Security-Policy").with("content", policy::policy(STYLE, SCRIPT)))
        .child(tag("meta").with("name", "viewport").with("content", "width=device-width, initial-scale=1"))
        .child(tag("meta").with("name", "color-scheme").with("content", "light dark"))
        .child(tag("meta").with("name", "referrer").with("content", "no-referrer"))
        .child(tag("title").text("interrater report"))
        .child(tag("style").child(Markup::own(STYLE)));
    let tasks: Markup = dossier.tasks.iter().map(|task| task::section(task, dossier, &page)).collect();
    let main = tag("main")
        .with("id", "main")
        .child(heading(dossier))
        .child(overview::section(dossier))
        .child(tasks)
        .child(footer(dossier));
    let body = tag("body")
        .child(classed("a", "skip").with("href", "#main").text("To the report"))
        .child(contents(dossier))
        .child(main)
        .child(tag("script").child(Markup::own(SCRIPT)));
    let mut whole = Markup::own("<!doctype html>\n");
    whole.push(tag("html").with("lang", "en").child(head).child(body));
    whole
}

fn heading(dossier: &Dossier) -> Tag {
    let runs = dossier.tasks.iter().map(|task| task.runs.len() as u64).sum();
    let split = match dossier.split.as_str() {
        "all" => "all of the gold".to_owned(),
        split => format!("the {split} split of the gold"),
    };
    let told = format!(
        "{} of {}, compared on {split}. Intervals are 95 % and resample whole sessions, because the prompts of a session are not independent.",
        plural(runs, "run"),
        plural(dossier.tasks.len() as u64, "task"),
    );
    let names: Vec<&str> = dossier.tasks.iter().map(|task| task.task.as_str()).collect();
    let mut header = tag("header").child(tag("h1").text(title(&names))).child(classed("p", "lead").text(told));
    if !dossier.warnings.is_empty() {
        let list = dossier.warnings.iter().map(|warning| tag("li").text(warning));
        header = header.child(classed("ul", "warnings").children(list));
    }
    header
}

fn title(names: &[&str]) -> String {
    match names {
        [one] => format!("How far can the labels of {one} be trusted?"),
        _ => "How far can the labels be trusted?".to_owned(),
    }
}

/// The table of contents at the side.
fn contents(dossier: &Dossier) -> Tag {
    let entry = |id: &str, name: &str| tag("li").child(tag("a").with("href", format!("#{id}")).text(name));
    let task = |(nth, task): (usize, &crate::dossier::TaskDossier)| {
        let inner = task::sections(task).into_iter().map(|(section, name)| entry(&task::anchor(nth, section), name));
        entry(&task::anchor(nth, ""), &task.title).child(tag("ol").children(inner))
    };
    let tasks = dossier.tasks.iter().enumerate().map(task);
    tag("nav").with("aria-label", "Contents").child(
        tag("ol").child(entry("overview", "Overview")).children(tasks).child(entry("about", "About this report")),
    )
}

fn footer(dossier: &Dossier) -> Tag {
    let drawn = format!(
        "Made by {}; {} replicates, seed {}. The same numbers, and every disagreement, are in `interrater report --json`.",
        dossier.program, dossier.resampling.replicates, dossier.resampling.seed
    );
    let sealed = match dossier.test_shown {
        true => {
            "Results of single units of the test split are in this file: it should not reach whoever works on the codebooks."
        }
        false => "Results of single units of the test split are not in this file; their sums are.",
    };
    let excerpts = "Words of sessions, of models and of raters were redacted as `sessions --show --redact` does: secrets, addresses and home \
                    names that its rules know are replaced. What they do not know is not: read before you pass it on.";
    tag("footer")
        .with("id", "about")
        .child(tag("h2").text("About this report"))
        .child(tag("p").text(drawn))
        .child(tag("p").text(sealed))
        .child(tag("p").text(excerpts))
}
