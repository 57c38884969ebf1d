//! Prepares prompts that share requests: takes the chosen prompts of a session, gives their rows where the store has all that they need, and one
//! question a group where somebody has to be asked; a prompt that is left by itself has a question of its own.

use super::{Prepared, Preparing, Sending};
use crate::codebook::group::prompts_at_once;
use crate::engine::EngineError;
use crate::engine::annotate::{Work, material_hash};
use crate::engine::group::{GroupQuestion, KnownGroup, from_store};
use crate::engine::recall::Recall;
use crate::engine::warmth::Beginnings;
use crate::material::{GroupMaterial, Renderer};
use crate::prompt::Prompter;
use crate::session::Session;
use crate::unit::Unit;
use std::sync::Arc;

impl Preparing {
    /// Hands the chosen prompts of one task and session over, each with the position of its first row.
    pub(super) fn groups(
        &self,
        task: usize,
        recall: &Recall,
        session: &Arc<Session>,
        prompter: &Prompter,
        mut chosen: Vec<(usize, Unit)>,
        sending: &mut Sending<'_>,
    ) -> Result<(), EngineError> {
        let context = &self.contexts[task];
        let (codebook, model) = (&context.codebook, &recall.model);
        chosen.sort_by_key(|(first, _)| *first);
        let (firsts, units): (Vec<usize>, Vec<Unit>) = chosen.into_iter().unzip();
        let renderer = Renderer::new(session, &codebook.sees);
        let groups = renderer.groups(&units, prompts_at_once(codebook, model.max_output_tokens));
        for GroupMaterial { units: places, material, seen } in groups {
            let chosen = &units[places.clone()];
            // A prompt that is alone in its group is asked for as ever.
            let prompt = match chosen {
                [alone] => prompter.render(&codebook.task, session, alone, &material)?,
                _ => prompter.render_group(&codebook.task, chosen, &material)?,
            };
            let seen: Vec<_> =
                seen.into_iter().map(|(coverage, shown)| (coverage, Arc::<[u32]>::from(shown))).collect();
            for sample in 0..self.samples {
                let works = places.clone().zip(&seen).map(|(place, (coverage, shown))| Work {
                    task,
                    position: firsts[place] + sample as usize,
                    unit: units[place].clone(),
                    session: session.clone(),
                    coverage: *coverage,
                    shown: shown.clone(),
                    is_asked: true,
                    sample,
                });
                let mut works: Vec<Work> = works.collect();
                if let Some(alone) = works.pop_if(|_| chosen.len() == 1) {
                    self.unit(alone, Some(&prompt), &material.text, sending)?;
                    continue;
                }
                let request = prompt.request(&model.name.model, context.temperature, model.max_output_tokens, sample);
                let (key, parts) = recall.key(&request);
                let question = Box::new(GroupQuestion {
                    works,
                    request,
                    key,
                    parts,
                    beginnings: Beginnings::default(),
                    material: String::new(),
                });
                match from_store(context, recall, self.refresh(), question)? {
                    KnownGroup::Rows(settled) => {
                        for (position, row) in settled.rows {
                            sending.send(Prepared::Row { task, position, row: Box::new(row) }, 0);
                        }
                    }
                    KnownGroup::Ask(mut question) => {
                        question.beginnings = Beginnings::of(&question.request, self.cache());
                        question.material = material_hash(&material.text);
                        // A request is handed over at once, whatever its size.
                        sending.send(Prepared::Group(question), 0);
                    }
                }
            }
        }
        Ok(())
    }
}
