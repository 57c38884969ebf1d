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
