//! Finding a unit that was named.

use super::UsageError;
use interrater::codebook::{Codebook, UnitKind};
use interrater::corpus::{Corpus, SessionSource};
use interrater::session::{Session, SessionId};
use interrater::unit::{Unit, units};

/// The session of the unit `wanted` of `task`.
pub fn source_of<'c>(corpus: &'c Corpus, wanted: &str, task: &str) -> Result<&'c SessionSource, UsageError> {
    let id = SessionId::of_unit(wanted);
    corpus.sources().iter().find(|source| source.id == id).ok_or_else(|| UsageError::UnknownUnit {
        unit: wanted.to_owned(),
        task: task.to_owned(),
        hint: format!("there is no session `{id}`; `interrater sessions` lists those that there are"),
    })
}

/// The unit `wanted` among those of `session` that the codebook is about.
pub fn unit_of(session: &Session, codebook: &Codebook, wanted: &str) -> Result<Unit, UsageError> {
    let found = units(session, codebook.unit).into_iter().find(|unit| unit.id.as_str() == wanted);
    found.ok_or_else(|| {
        let id = &session.id;
        UsageError::UnknownUnit {
            unit: wanted.to_owned(),
            task: codebook.task.clone(),
            hint: match (codebook.unit, session.prompts().count()) {
                (UnitKind::Session, _) => format!("its units are sessions: `{id}`"),
                (UnitKind::Prompt, 0) => "its units are prompts, and this session has none".to_owned(),
                (UnitKind::Prompt, last) => format!("its units are prompts: `{id}#1` to `{id}#{last}`"),
            },
        }
    })
}
