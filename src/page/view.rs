//! What a rater looks at: a unit's material, the very text that a model gets, the transcript behind it.

use super::refusal::Refusal;
use super::{Room, off_thread};
use crate::labelling::sight::{Sight, Stretch, Wanted};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The routes.
pub fn routes() -> Router<Arc<Room>> {
    Router::new()
        .route("/api/units/{at}/material", get(material))
        .route("/api/units/{at}/prompt", get(prompt))
        .route("/api/units/{at}/transcript", get(transcript))
        .route("/api/units/{at}/events/{number}", get(event))
}

async fn material(State(room): State<Arc<Room>>, Path(at): Path<usize>) -> Result<Json<Sight>, Refusal> {
    off_thread(move || Ok(Json(room.shelf.sight(room.unit(at)?)?))).await
}

#[derive(Serialize)]
struct Text {
    text: String,
}

async fn prompt(State(room): State<Arc<Room>>, Path(at): Path<usize>) -> Result<Json<Text>, Refusal> {
    off_thread(move || Ok(Json(Text { text: room.shelf.prompt_text(room.unit(at)?)? }))).await
}

/// Where a stretch begins, or where it ends; without either it is the last one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    from: Option<u32>,
    to: Option<u32>,
}

async fn transcript(
    State(room): State<Arc<Room>>,
    Path(at): Path<usize>,
    Query(Place { from, to }): Query<Place>,
) -> Result<Json<Stretch>, Refusal> {
    let wanted = from.map_or(Wanted::UpTo(to.unwrap_or(u32::MAX)), Wanted::From);
    off_thread(move || Ok(Json(room.shelf.stretch(room.unit(at)?, wanted)?))).await
}

async fn event(State(room): State<Arc<Room>>, Path((at, number)): Path<(usize, u32)>) -> Result<Json<Text>, Refusal> {
    let missing = move || Refusal::new(StatusCode::NOT_FOUND, format!("there is no event {number} up to this unit"));
    off_thread(move || {
        let text = room.shelf.event_text(room.unit(at)?, number)?;
        text.map(|text| Json(Text { text })).ok_or_else(missing)
    })
    .await
}
