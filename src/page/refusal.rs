//! What the page is told when something cannot be done: a status and one sentence.
//!
//! A gold file holds other raters' answers, and its errors quote them. So a rater's page is told only where the file is damaged.

use crate::gold::GoldError;
use crate::gold::file::GoldWriteError;
use crate::labelling::desk::DeskError;
use crate::labelling::shelf::ShelfError;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Why a request is not fulfilled.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    message: String,
}

#[derive(Serialize)]
struct Body<'m> {
    error: &'m str,
}

impl Refusal {
    /// A refusal with a reason.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Refusal {
        Refusal { status, message: message.into() }
    }

    /// Something that should not happen.
    pub fn broken() -> Refusal {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the server could not do this; its terminal may say more")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(Body { error: &self.message })).into_response()
    }
}

/// The answer where there is nothing.
pub async fn nothing_here() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "there is nothing here")
}

impl From<DeskError> for Refusal {
    fn from(error: DeskError) -> Refusal {
        let status = match &error {
            DeskError::NoUnit(_) => StatusCode::NOT_FOUND,
            DeskError::Rater(_) | DeskError::Answer(_) => StatusCode::UNPROCESSABLE_ENTITY,
            DeskError::HasAnswer | DeskError::NothingToUndo | DeskError::ChangedByHand => StatusCode::CONFLICT,
            DeskError::File(_) | DeskError::Journal { .. } => StatusCode::SERVICE_UNAVAILABLE,
        };
        Refusal { status, message: super::told(&error) }
    }
}

/// What is said of the gold file: nothing of what stands in it.
pub fn file_message(error: &GoldWriteError) -> String {
    match error {
        GoldWriteError::Gold(GoldError::Csv { path, line, .. } | GoldError::Cell { path, line, .. }) => {
            format!("not saved: {}:{line} cannot be read as gold; mend that line, then save again", path.display())
        }
        GoldWriteError::Gold(GoldError::Column { path, .. }) => {
            format!("not saved: the header of {} cannot be read as gold; mend it, then save again", path.display())
        }
        error => format!("not saved: {error}"),
    }
}

impl From<ShelfError> for Refusal {
    fn from(error: ShelfError) -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, error.to_string())
    }
}
