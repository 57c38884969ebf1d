//! What a rater looks at: a unit's material, the very text that a model gets, the transcript behind it.

use super::refusal::Refusal;
use super::{Room, off_thread};
use crate::labelling::sight::{Sight, Stretch};
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct From {
    from: u32,
}

async fn transcript(
    State(room): State<Arc<Room>>,
    Path(at): Path<usize>,
    Query(From { from }): Query<From>,
) -> Result<Json<Stretch>, Refusal> {
    off_thread(move || Ok(Json(room.shelf.stretch(room.unit(at)?, from)?))).await
}

async fn event(State(room): State<Arc<Room>>, Path((at, number)): Path<(usize, u32)>) -> Result<Json<Text>, Refusal> {
    let missing = move || Refusal::new(StatusCode::NOT_FOUND, format!("there is no event {number} up to this unit"));
    off_thread(move || {
        let text = room.shelf.event_text(room.unit(at)?, number)?;
        text.map(|text| Json(Text { text })).ok_or_else(missing)
    })
    .await
}
