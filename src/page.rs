//! The labelling page: a small server on this machine, and the files of a page that asks it. Takes a desk, gives a router.
//!
//! ```text
//! browser ─ guard (who may ask) ─ routes (what can be asked) ─ desk, shelf ─ gold file, sessions
//!           assets (embedded)
//! ```
//!
//! The interface between page and server belongs to the two of them and has no version: both come out of one binary. Units are asked for
//! by their place on the pile, so that no text of a request becomes a path. What is done to files is done off the server's threads.

mod adjudicating;
mod assets;
pub mod guard;
mod refusal;
mod saving;
mod view;

use crate::labelling::adjudication::Adjudication;
use crate::labelling::desk::{Desk, DeskError, Progress};
use crate::labelling::question::Question;
use crate::labelling::shelf::Shelf;
use crate::unit::UnitId;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use guard::Guard;
use refusal::Refusal;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Bytes of a request's body, at most: an answer with a long text and much evidence is far below.
const LARGEST_BODY: usize = 512 * 1024;
/// How long requests under way may take once the server is told to end.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// What a page is about.
pub struct Room {
    /// Where the units' sessions are.
    pub shelf: Shelf,
    /// The form.
    pub question: Question,
    /// Whose work it is.
    pub work: Work,
}

/// What is done in a room. What the one kind of work has no use for is not even a route there.
pub enum Work {
    /// A rater labels.
    Label(Desk),
    /// Somebody decides where raters differ.
    Adjudicate(Adjudication),
}

impl Room {
    fn unit(&self, at: usize) -> Result<&UnitId, Refusal> {
        match &self.work {
            Work::Label(desk) => Ok(desk.unit(at)?),
            Work::Adjudicate(adjudication) => Ok(adjudication.unit(at)?),
        }
    }

    /// How much is done.
    pub fn progress(&self) -> Result<Progress, DeskError> {
        match &self.work {
            Work::Label(desk) => desk.progress(),
            Work::Adjudicate(adjudication) => adjudication.progress(),
        }
    }
}

/// An error as it is told to a rater: nothing that stands in the gold file is in it, for that may be another rater's answer.
pub fn told(error: &DeskError) -> String {
    match error {
        DeskError::File(error) => refusal::file_message(error),
        error => error.to_string(),
    }
}

/// All that can be asked.
pub fn router(room: Arc<Room>, guard: Arc<Guard>) -> Router {
    let routes = match room.work {
        Work::Label(_) => saving::routes(),
        Work::Adjudicate(_) => adjudicating::routes(),
    };
    Router::new()
        .merge(assets::routes())
        .merge(view::routes())
        .merge(routes)
        .fallback(refusal::nothing_here)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn_with_state(guard, guard::stand))
        .with_state(room)
}

/// Answers requests until `stop` comes, and then ends what is under way.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
        stop.await;
        let _ = ended.send(());
    });
    let patience = async move {
        drop(end.await);
        tokio::time::sleep(LAST_REQUESTS).await;
    };
    tokio::select! {
        served = serving => served,
        () = patience => Ok(()),
    }
}

/// Does `work` where it may wait for files.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Refusal::broken()))
}
