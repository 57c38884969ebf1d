//! Which tasks may ask for several prompts at once.

use super::{UsageError, say};
use interrater::codebook::{Codebook, UnitKind};
use interrater::config::Rater;
use interrater::unit::Grouping;
use std::sync::Arc;

/// What `--group` means for each of these tasks: nothing where units are sessions, where the codebook declines, and where nobody is asked.
/// A codebook that does not say is an error: what a rater sees is not for a flag to change unasked.
pub fn grouping(
    wanted: Option<Grouping>,
    codebooks: &[Arc<Codebook>],
    rater: &Rater,
    quiet: bool,
) -> Result<Vec<Option<Grouping>>, UsageError> {
    let note = |text: String| {
        if !quiet {
            say!("note: {text}");
        }
    };
    let each_alone = || vec![None; codebooks.len()];
    let Some(grouping) = wanted else { return Ok(each_alone()) };
    if !matches!(rater, Rater::Model(_)) {
        note("--group changes nothing here: nobody is asked".to_owned());
        return Ok(each_alone());
    }
    let of = |codebook: &Arc<Codebook>| match (codebook.unit, codebook.group) {
        (UnitKind::Session, _) | (UnitKind::Prompt, Some(false)) => Ok(None),
        (UnitKind::Prompt, Some(true)) => Ok(Some(grouping)),
        (UnitKind::Prompt, None) => {
            Err(UsageError::GroupNotDecided { task: codebook.task.clone(), path: codebook.path.clone() })
        }
    };
    let grouped = codebooks.iter().map(of).collect::<Result<Vec<_>, _>>()?;
    if grouped.iter().all(Option::is_none) {
        return Err(UsageError::NothingToGroup);
    }
    for codebook in codebooks.iter().filter(|codebook| codebook.group == Some(false)) {
        note(format!("{} asks for each prompt alone: its codebook says group = false", codebook.task));
    }
    Ok(grouped)
}
