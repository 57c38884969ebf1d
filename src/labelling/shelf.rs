//! The sessions of the units: read when a unit is looked at, a few of them kept, each read once however many ask for it at a time.

use super::sight::{Sight, Stretch, Wanted};
use crate::codebook::Codebook;
use crate::corpus::{Corpus, SessionSource};
use crate::material::Renderer;
use crate::prompt::Prompter;
use crate::redact;
use crate::session::{ReadError, Session, SessionId};
use crate::unit::{Unit, UnitId, units};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Sessions in memory: the one that is looked at, the next one, and one to come back to.
const KEPT: usize = 3;

/// Why a unit cannot be shown.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ShelfError {
    /// Its session is not here.
    #[error("the session of `{0}` is not among those that were named")]
    NoSession(UnitId),
    /// Its session has no such unit.
    #[error("the session is here, but has no unit `{0}`")]
    NoUnit(UnitId),
    /// Its session cannot be read.
    #[error("{0}")]
    Unreadable(Arc<ReadError>),
    /// The codebook's template cannot be rendered.
    #[error("{0}")]
    Template(String),
}

type Slot = Arc<OnceLock<Result<Arc<Opened>, ShelfError>>>;

/// Where sessions are found.
#[derive(Debug)]
pub struct Shelf {
    codebook: Arc<Codebook>,
    prompter: Prompter,
    sources: HashMap<SessionId, SessionSource>,
    redacted: bool,
    /// The one that was wanted last is the last.
    kept: Mutex<Vec<(SessionId, Slot)>>,
}

/// A session in memory.
#[derive(Debug)]
pub struct Opened {
    /// The session.
    pub session: Session,
    renderer: Renderer,
    units: HashMap<UnitId, Unit>,
}

impl Shelf {
    /// A shelf of the sessions of `corpus`, seen as `redacted` says.
    pub fn new(codebook: Arc<Codebook>, prompter: Prompter, corpus: &Corpus, redacted: bool) -> Shelf {
        let sources = corpus.sources().iter().map(|source| (source.id.clone(), source.clone())).collect();
        Shelf { codebook, prompter, sources, redacted, kept: Mutex::new(Vec::new()) }
    }

    /// Whether secrets are replaced before anybody sees a session.
    pub fn is_redacted(&self) -> bool {
        self.redacted
    }

    /// Whether the unit's session is here.
    pub fn has_session_of(&self, unit: &UnitId) -> bool {
        self.source(unit).is_some()
    }

    fn source(&self, unit: &UnitId) -> Option<&SessionSource> {
        // Some agents' own ids end like a prompt's.
        let whole = SessionId::of_unit(unit.as_str());
        self.sources.get(&whole).or_else(|| self.sources.values().find(|source| source.id.as_str() == unit.as_str()))
    }

    /// The session of a unit.
    pub fn open(&self, unit: &UnitId) -> Result<Arc<Opened>, ShelfError> {
        let source = self.source(unit).ok_or_else(|| ShelfError::NoSession(unit.clone()))?;
        let slot: Slot = {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let slot = match kept.iter().position(|(id, _)| *id == source.id) {
                Some(at) => kept.remove(at).1,
                None => Slot::default(),
            };
            kept.push((source.id.clone(), slot.clone()));
            let surplus = kept.len().saturating_sub(KEPT);
            kept.drain(..surplus);
            slot
        };
        let opened = slot.get_or_init(|| self.read(source)).clone();
        if opened.is_err() {
            // Who looks again may find it mended.
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).retain(|(id, _)| *id != source.id);
        }
        opened
    }

    fn read(&self, source: &SessionSource) -> Result<Arc<Opened>, ShelfError> {
        let (session, _) =
            redact::read(source, self.redacted).map_err(|error| ShelfError::Unreadable(Arc::new(error)))?;
        let renderer = Renderer::new(&session, &self.codebook.sees);
        let units = units(&session, self.codebook.unit).into_iter().map(|unit| (unit.id.clone(), unit)).collect();
        Ok(Arc::new(Opened { session, renderer, units }))
    }

    fn found<T>(
        &self,
        id: &UnitId,
        show: impl FnOnce(&Opened, &Unit) -> Result<T, ShelfError>,
    ) -> Result<T, ShelfError> {
        let opened = self.open(id)?;
        let unit = opened.units.get(id).ok_or_else(|| ShelfError::NoUnit(id.clone()))?;
        show(&opened, unit)
    }

    /// Whether there is such a unit: an answer to one that is nowhere would be a mistake in the gold.
    pub fn check_unit(&self, id: &UnitId) -> Result<(), ShelfError> {
        self.found(id, |_, _| Ok(()))
    }

    /// What a rater sees of the unit: the material that a model gets.
    pub fn sight(&self, id: &UnitId) -> Result<Sight, ShelfError> {
        self.found(id, |opened, unit| {
            let material = opened.renderer.material(unit);
            let beside = self
                .prompter
                .beside(&self.codebook.task, &opened.session, unit, &material)
                .map_err(|error| ShelfError::Template(error.to_string()))?;
            Ok(Sight::new(&opened.session, unit, &material, beside))
        })
    }

    /// The material as a model gets it, without its fence.
    pub fn material_text(&self, id: &UnitId) -> Result<String, ShelfError> {
        self.found(id, |opened, unit| Ok(opened.renderer.material(unit).text))
    }

    /// The very text that a model gets, instructions and fence included.
    pub fn prompt_text(&self, id: &UnitId) -> Result<String, ShelfError> {
        self.found(id, |opened, unit| {
            let material = opened.renderer.material(unit);
            let prompt = self.prompter.render(&self.codebook.task, &opened.session, unit, &material);
            prompt.map(|prompt| prompt.text()).map_err(|error| ShelfError::Template(error.to_string()))
        })
    }

    /// A stretch of the transcript itself: nothing cut between events, and nothing after a prompt that is the unit.
    pub fn stretch(&self, id: &UnitId, wanted: Wanted) -> Result<Stretch, ShelfError> {
        self.found(id, |opened, unit| Ok(Stretch::new(&opened.session, unit, wanted)))
    }

    /// An event's text in full, if the rater may see it.
    pub fn event_text(&self, id: &UnitId, number: u32) -> Result<Option<String>, ShelfError> {
        self.found(id, |opened, unit| Ok(super::sight::event_text(&opened.session, unit, number)))
    }

    /// Checks evidence against what the rater could see: the transcript up to the unit.
    pub fn checked(
        &self,
        id: &UnitId,
        cited: Vec<crate::answer::Citation>,
    ) -> Result<Vec<crate::answer::Evidence>, ShelfError> {
        if cited.is_empty() {
            return Ok(Vec::new());
        }
        self.found(id, |opened, unit| {
            let last = super::sight::last_event(&opened.session, unit);
            let visible: Vec<u32> = (1..=last).collect();
            Ok(crate::answer::check_evidence(&opened.session, &visible, cited))
        })
    }
}

#[cfg(test)]
mod tests;
