//! A rater's routes: the pile, what was given for a unit, an answer, a skip, the way back. What is answered with 200 is on disk.

use super::refusal::Refusal;
use super::{Room, Work, off_thread};
use crate::answer::Citation;
use crate::labelling::desk::{Desk, Given, Giving, Progress, State as Stage};
use crate::labelling::question::Question;
use crate::unit::UnitId;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The routes.
pub fn routes() -> Router<Arc<Room>> {
    Router::new()
        .route("/api/task", get(task))
        .route("/api/units", get(units))
        .route("/api/units/{at}", get(unit))
        .route("/api/units/{at}/answer", post(answer))
        .route("/api/units/{at}/skip", post(skip))
        .route("/api/undo", post(undo))
}

fn desk(room: &Room) -> Result<&Desk, Refusal> {
    match &room.work {
        Work::Label(desk) => Ok(desk),
        Work::Adjudicate(_) => Err(Refusal::broken()),
    }
}

#[derive(Serialize)]
struct Task<'r> {
    mode: &'static str,
    question: &'r Question,
    rater: &'r str,
    redacted: bool,
    progress: Progress,
}

async fn task(State(room): State<Arc<Room>>) -> Result<Json<Value>, Refusal> {
    off_thread(move || {
        let desk = desk(&room)?;
        let task = Task {
            mode: "label",
            question: &room.question,
            rater: desk.rater(),
            redacted: room.shelf.is_redacted(),
            progress: desk.progress()?,
        };
        serde_json::to_value(task).map(Json).map_err(|_| Refusal::broken())
    })
    .await
}

/// A unit in the list, as short as can be: there may be thousands.
#[derive(Serialize)]
struct Listed {
    name: String,
    state: Stage,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    noted: bool,
}

#[derive(Serialize)]
struct Pile {
    units: Vec<Listed>,
    next: Option<usize>,
    progress: Progress,
}

/// A unit's name for people. It does not say whose work is judged: the agent is left out.
pub(super) fn name(unit: &UnitId) -> String {
    unit.as_str().split_once(':').map_or(unit.as_str(), |(_, rest)| rest).to_owned()
}

async fn units(State(room): State<Arc<Room>>) -> Result<Json<Pile>, Refusal> {
    off_thread(move || {
        let desk = desk(&room)?;
        let listed = |(at, (state, noted)): (usize, (Stage, bool))| -> Result<Listed, Refusal> {
            Ok(Listed { name: name(desk.unit(at)?), state, noted })
        };
        let units = desk.states()?.into_iter().enumerate().map(listed).collect::<Result<_, _>>()?;
        let (progress, next) = desk.standing(0)?;
        Ok(Json(Pile { units, next, progress }))
    })
    .await
}

#[derive(Serialize)]
struct Shown {
    at: usize,
    name: String,
    #[serde(flatten)]
    given: Given,
}

async fn unit(State(room): State<Arc<Room>>, Path(at): Path<usize>) -> Result<Json<Shown>, Refusal> {
    let shown = {
        let room = room.clone();
        off_thread(move || {
            let desk = desk(&room)?;
            Ok(Shown { at, name: name(desk.unit(at)?), given: desk.given(at)? })
        })
        .await?
    };
    // Whoever looks at one will want the next: its session is read meanwhile.
    tokio::task::spawn_blocking(move || {
        if let Ok(desk) = desk(&room)
            && let Ok(Some(next)) = desk.next_from(at + 1)
            && let Ok(unit) = desk.unit(next)
        {
            drop(room.shelf.open(unit));
        }
    });
    Ok(Json(shown))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answered {
    fields: Map<String, Value>,
    #[serde(default)]
    evidence: Vec<Citation>,
    #[serde(default)]
    note: String,
    #[serde(default)]
    seconds: f64,
}

/// What came of it: the unit as it is now, and where to go on.
#[derive(Serialize)]
struct Saved {
    at: usize,
    #[serde(flatten)]
    given: Given,
    next: Option<usize>,
    progress: Progress,
}

fn saved(desk: &Desk, at: usize) -> Result<Json<Saved>, Refusal> {
    let (progress, next) = desk.standing(at + 1)?;
    Ok(Json(Saved { at, given: desk.given(at)?, next, progress }))
}

async fn answer(
    State(room): State<Arc<Room>>,
    Path(at): Path<usize>,
    Json(Answered { fields, evidence, note, seconds }): Json<Answered>,
) -> Result<Json<Saved>, Refusal> {
    off_thread(move || {
        let desk = desk(&room)?;
        room.shelf.check_unit(desk.unit(at)?)?;
        let evidence = room.shelf.checked(desk.unit(at)?, evidence)?;
        desk.answer(at, Giving { fields, evidence, note, seconds })?;
        saved(desk, at)
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutOff {
    #[serde(default)]
    note: String,
    #[serde(default)]
    seconds: f64,
}

async fn skip(
    State(room): State<Arc<Room>>,
    Path(at): Path<usize>,
    Json(PutOff { note, seconds }): Json<PutOff>,
) -> Result<Json<Saved>, Refusal> {
    off_thread(move || {
        let desk = desk(&room)?;
        desk.skip(at, &note, seconds)?;
        saved(desk, at)
    })
    .await
}

async fn undo(State(room): State<Arc<Room>>) -> Result<Json<Saved>, Refusal> {
    off_thread(move || {
        let desk = desk(&room)?;
        let at = desk.undo()?;
        saved(desk, at)
    })
    .await
}
