//! The routes of whoever decides: the cases, a decision, the rest at once, a model's answer on demand, the codebook round.

use super::refusal::Refusal;
use super::saving::name;
use super::{Room, Work, off_thread};
use crate::answer::Citation;
use crate::labelling::adjudication::{Adjudication, Case, ModelVoice, Rest, Standing, Verdict, Which};
use crate::labelling::desk::{Giving, Progress};
use crate::labelling::question::Question;
use crate::labelling::round::{self, FIRST, Round};
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
        .route("/api/units", get(cases))
        .route("/api/units/{at}", get(case))
        .route("/api/units/{at}/decision", post(decide))
        .route("/api/units/{at}/models", post(models))
        .route("/api/settle", post(settle))
        .route("/api/undo", post(undo))
        .route("/api/round", get(show_round))
}

fn adjudication(room: &Room) -> Result<&Adjudication, Refusal> {
    match &room.work {
        Work::Adjudicate(adjudication) => Ok(adjudication),
        Work::Label(_) => Err(Refusal::broken()),
    }
}

#[derive(Serialize)]
struct Task<'r> {
    mode: &'static str,
    question: &'r Question,
    rater: &'r str,
    redacted: bool,
    progress: Progress,
    runs: Vec<&'r str>,
    /// Units that two raters share at most; from [`FIRST`] on there is a round.
    shared: usize,
    round_from: usize,
}

async fn task(State(room): State<Arc<Room>>) -> Result<Json<Value>, Refusal> {
    off_thread(move || {
        let adjudication = adjudication(&room)?;
        let task = Task {
            mode: "adjudicate",
            question: &room.question,
            rater: adjudication.by(),
            redacted: room.shelf.is_redacted(),
            progress: adjudication.progress()?,
            runs: adjudication.runs(),
            shared: adjudication.human()?.as_ref().map_or(0, round::shared),
            round_from: FIRST,
        };
        serde_json::to_value(task).map(Json).map_err(|_| Refusal::broken())
    })
    .await
}

#[derive(Serialize)]
struct Listed {
    name: String,
    verdict: Verdict,
    state: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    noted: bool,
}

#[derive(Serialize)]
struct Cases {
    units: Vec<Listed>,
    next: Option<usize>,
    progress: Progress,
    rest: Rest,
}

async fn cases(State(room): State<Arc<Room>>) -> Result<Json<Cases>, Refusal> {
    off_thread(move || {
        let adjudication = adjudication(&room)?;
        let listed = |(at, Standing { verdict, decided, noted }): (usize, Standing)| -> Result<Listed, Refusal> {
            let state = if decided { "done" } else { "todo" };
            Ok(Listed { name: name(adjudication.unit(at)?), verdict, state, noted })
        };
        let (progress, rest, next) = adjudication.standing(0)?;
        let units = adjudication.states()?.into_iter().enumerate().map(listed).collect::<Result<_, _>>()?;
        Ok(Json(Cases { units, next, progress, rest }))
    })
    .await
}

#[derive(Serialize)]
struct Shown {
    at: usize,
    name: String,
    #[serde(flatten)]
    case: Case,
    /// Whether a model's answer was looked at, now or earlier.
    model_shown: bool,
}

async fn case(State(room): State<Arc<Room>>, Path(at): Path<usize>) -> Result<Json<Shown>, Refusal> {
    off_thread(move || {
        let adjudication = adjudication(&room)?;
        let (case, model_shown) = adjudication.case(at)?;
        Ok(Json(Shown { at, name: name(adjudication.unit(at)?), case, model_shown }))
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decided {
    fields: Map<String, Value>,
    #[serde(default)]
    evidence: Vec<Citation>,
    #[serde(default)]
    note: String,
    #[serde(default)]
    seconds: f64,
    /// The rater whose answer it is, if it was taken as it is.
    #[serde(default)]
    taken_from: Option<String>,
}

#[derive(Serialize)]
struct Saved {
    at: usize,
    next: Option<usize>,
    progress: Progress,
    rest: Rest,
}

fn saved(adjudication: &Adjudication, at: usize) -> Result<Json<Saved>, Refusal> {
    let (progress, rest, next) = adjudication.standing(at + 1)?;
    Ok(Json(Saved { at, next, progress, rest }))
}

async fn decide(
    State(room): State<Arc<Room>>,
    Path(at): Path<usize>,
    Json(Decided { fields, evidence, note, seconds, taken_from }): Json<Decided>,
) -> Result<Json<Saved>, Refusal> {
    off_thread(move || {
        let adjudication = adjudication(&room)?;
        let evidence = room.shelf.checked(adjudication.unit(at)?, evidence)?;
        let how = taken_from.map_or_else(|| "decided".to_owned(), |rater| format!("taken from {rater}"));
        adjudication.decide(at, Giving { fields, evidence, note, seconds }, how)?;
        saved(adjudication, at)
    })
    .await
}

#[derive(Serialize)]
struct Models {
    models: Vec<ModelVoice>,
}

async fn models(State(room): State<Arc<Room>>, Path(at): Path<usize>) -> Result<Json<Models>, Refusal> {
    off_thread(move || Ok(Json(Models { models: adjudication(&room)?.show_models(at)? }))).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settled {
    which: Which,
    /// How many the page showed.
    count: usize,
}

async fn settle(
    State(room): State<Arc<Room>>,
    Json(Settled { which, count }): Json<Settled>,
) -> Result<Json<Saved>, Refusal> {
    off_thread(move || {
        let adjudication = adjudication(&room)?;
        adjudication.settle(which, count)?;
        saved(adjudication, 0)
    })
    .await
}

async fn undo(State(room): State<Arc<Room>>) -> Result<Json<Saved>, Refusal> {
    off_thread(move || {
        let adjudication = adjudication(&room)?;
        let at = adjudication.undo()?;
        saved(adjudication, at)
    })
    .await
}

async fn show_round(State(room): State<Arc<Room>>) -> Result<Json<Round>, Refusal> {
    off_thread(move || Ok(Json(round::round(adjudication(&room)?)?))).await
}
