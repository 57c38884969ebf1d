//! The files of the page, embedded in the binary.

use super::Room;
use super::refusal::{Refusal, nothing_here};
use axum::Router;
use axum::extract::Path;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// Name, type, content.
static FILES: [(&str, &str, &str); 16] = [
    ("page.css", STYLE, include_str!("assets/page.css")),
    ("form.css", STYLE, include_str!("assets/form.css")),
    ("start.js", SCRIPT, include_str!("assets/start.js")),
    ("make.js", SCRIPT, include_str!("assets/make.js")),
    ("wire.js", SCRIPT, include_str!("assets/wire.js")),
    ("keys.js", SCRIPT, include_str!("assets/keys.js")),
    ("clock.js", SCRIPT, include_str!("assets/clock.js")),
    ("material.js", SCRIPT, include_str!("assets/material.js")),
    ("form.js", SCRIPT, include_str!("assets/form.js")),
    ("fields.js", SCRIPT, include_str!("assets/fields.js")),
    ("list.js", SCRIPT, include_str!("assets/list.js")),
    ("label.js", SCRIPT, include_str!("assets/label.js")),
    ("adjudicate.js", SCRIPT, include_str!("assets/adjudicate.js")),
    ("round.js", SCRIPT, include_str!("assets/round.js")),
    ("adjudicate.css", STYLE, include_str!("assets/adjudicate.css")),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
];

/// The page and its files.
pub fn routes() -> Router<Arc<Room>> {
    Router::new().route("/", get(async || Html(include_str!("assets/index.html")))).route("/assets/{name}", get(file))
}

async fn file(Path(name): Path<String>) -> Result<Response, Refusal> {
    match FILES.iter().find(|(known, _, _)| *known == name) {
        Some((_, kind, content)) => Ok(([(CONTENT_TYPE, *kind)], *content).into_response()),
        None => Err(nothing_here().await),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    /// The colours of a block of the style, by name.
    fn colours(block: &str) -> BTreeMap<&str, [f64; 3]> {
        let declared = block.split(';').filter_map(|line| line.trim().strip_prefix("--")?.split_once(": #"));
        let channel = |hex: &str, at: usize| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
        declared.map(|(name, hex)| (name, [0, 2, 4].map(|at| channel(hex, at)))).collect()
    }

    /// WCAG's ratio of two colours' relative luminances.
    fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
        let luminance = |colour: [f64; 3]| {
            let [r, g, b] = colour.map(|c| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) });
            0.2126 * r + 0.7152 * g + 0.0722 * b
        };
        let (x, y) = (luminance(a), luminance(b));
        (x.max(y) + 0.05) / (x.min(y) + 0.05)
    }

    #[test]
    fn words_and_edges_stand_out_in_light_and_dark() {
        let style = include_str!("assets/page.css");
        let blocks: Vec<&str> = style.split(":root {").skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
        assert_eq!(blocks.len(), 2);
        for block in blocks {
            let colours = colours(block);
            for ink in ["ink", "soft", "accent", "trouble"] {
                for ground in ["paper", "card", "tint", "person"] {
                    let ratio = contrast(colours[ink], colours[ground]);
                    assert!(ratio >= 4.5, "{ink} on {ground}: {ratio:.2}");
                }
            }
            assert!(contrast(colours["on-accent"], colours["accent"]) >= 4.5);
            assert!(
                contrast(colours["edge"], colours["card"]) >= 3.0 && contrast(colours["edge"], colours["paper"]) >= 3.0
            );
        }
    }
}
