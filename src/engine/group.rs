//! From several prompts of a session to their rows, with as few requests as their answers allow. Takes a group that shares a request, gives a
//! row for each of its prompts: with its own state, its own evidence and its part of the cost.

mod chain;

use super::annotate::{Paid, Refresh, RunContext, Work, row};
use super::ask::{AskError, Asker, Purpose};
use super::recall::Recall;
use super::warmth::Beginnings;
use crate::llm::Request;
use crate::run::Annotation;
use crate::session::SessionId;
use crate::store::{RequestKey, RequestParts, StoreError, Subject};
use crate::unit::UnitId;
use chain::{Chain, Step};
use std::collections::HashSet;

/// Several prompts of a session for which a model is asked at once.
#[derive(Debug)]
pub struct GroupQuestion {
    /// The prompts, in their order: of one task, one session and one sample.
    pub works: Vec<Work>,
    /// What the model is asked first. What it is asked further depends on its answers.
    pub request: Request,
    /// The name of the first answer in the store.
    pub key: RequestKey,
    /// What the key was made of.
    pub parts: RequestParts,
    /// What the provider may have read before.
    pub beginnings: Beginnings,
    /// Hash of the group's material, as the store notes it.
    pub material: String,
}

impl GroupQuestion {
    /// Which task of the plan it is about.
    pub fn task(&self) -> usize {
        self.works.first().map_or(0, |work| work.task)
    }

    fn chain<'c>(&self, context: &'c RunContext) -> Chain<'c> {
        let numbers = self.works.iter().map(|work| work.unit.prompt.map_or(0, |prompt| prompt.event)).collect();
        Chain::new(context, numbers, self.request.clone())
    }
}

/// How far a group has come: the rows of the prompts that are settled, with their positions, and the positions of the others.
#[derive(Debug, Default)]
pub struct Settled {
    /// Rows with their positions in the run.
    pub rows: Vec<(usize, Annotation)>,
    /// Positions without a row.
    pub open: Vec<usize>,
}

/// What the store says of a group.
pub enum KnownGroup {
    /// Every prompt's row.
    Rows(Settled),
    /// Not all, or not all that may be used.
    Ask(Box<GroupQuestion>),
}

/// What a grouped request is about, as the store notes it: the session. Its prompts' own ids are those of requests for each alone.
pub fn subject(codebook: &crate::codebook::Codebook, session: &SessionId, material: String) -> Subject {
    let unit = UnitId::from_text(session.to_string());
    Subject { unit, codebook: codebook.hash.short().to_owned(), material }
}

/// Annotates from the store, as far as that is allowed and possible.
pub fn from_store(
    context: &RunContext,
    recall: &Recall,
    refresh: Refresh,
    question: Box<GroupQuestion>,
) -> Result<KnownGroup, StoreError> {
    let mut chain = question.chain(context);
    let replayed = replay(&mut chain, context, recall, refresh)?;
    let is_usable = refresh != Refresh::Trouble || chain.troubled().next().is_none();
    match replayed.missing.is_none() && is_usable {
        true => Ok(KnownGroup::Rows(rows(context, chain, question.works))),
        false => Ok(KnownGroup::Ask(question)),
    }
}

/// What the store has of a group, for a run that is told to end: it keeps the answers that there are.
pub fn what_is_stored(context: &RunContext, recall: &Recall, question: GroupQuestion) -> Result<Settled, StoreError> {
    let mut chain = question.chain(context);
    replay(&mut chain, context, recall, Refresh::Nothing)?;
    Ok(rows(context, chain, question.works))
}

/// What is still to be asked of a group for which the store has not all rows: its first request, or the one that follows from its stored
/// answers.
pub fn outstanding(
    context: &RunContext,
    recall: &Recall,
    question: GroupQuestion,
) -> Result<GroupQuestion, StoreError> {
    let mut chain = question.chain(context);
    match replay(&mut chain, context, recall, Refresh::Nothing)?.missing {
        Some(Step { request, .. }) => {
            let (key, parts) = recall.key(&request);
            Ok(GroupQuestion { request, key, parts, ..question })
        }
        None => Ok(question),
    }
}

/// Annotates by asking a model, as often as it takes. The rows of prompts that are settled are given also where the group did not get to its
/// end.
pub async fn by_asking(
    context: &RunContext,
    asker: &Asker,
    refresh: Refresh,
    question: GroupQuestion,
) -> (Settled, Option<AskError>) {
    let mut chain = question.chain(context);
    let ended = ask_all(&mut chain, context, asker, refresh, &question).await;
    (rows(context, chain, question.works), ended.err())
}

async fn ask_all(
    chain: &mut Chain<'_>,
    context: &RunContext,
    asker: &Asker,
    refresh: Refresh,
    question: &GroupQuestion,
) -> Result<(), AskError> {
    let again = match refresh {
        Refresh::Trouble => asked_again(context, &asker.recall, question)?,
        Refresh::Nothing | Refresh::Everything => HashSet::new(),
    };
    let Some(session) = question.works.first().map(|work| &work.unit.session) else { return Ok(()) };
    let subject = subject(&context.codebook, session, question.material.clone());
    let mut nth = 0;
    while let Some(step) = chain.next() {
        // Later requests begin as the first one, which the provider has just read.
        let (key, parts, beginnings) = match nth {
            0 => (question.key, question.parts.clone(), question.beginnings.clone()),
            _ => {
                let (key, parts) = asker.recall.key(&step.request);
                (key, parts, Beginnings::default())
            }
        };
        let since = match refresh {
            Refresh::Trouble => context.since(refresh).filter(|_| again.contains(&key)),
            Refresh::Nothing | Refresh::Everything => context.since(refresh),
        };
        let purpose = Purpose { run: &context.run, task: &context.codebook.task, subject: &subject, since };
        match asker.ask(&step.request, key, parts, &beginnings, purpose).await {
            Ok(answered) => {
                let paid = Paid::of(context, &asker.recall, &answered.stored);
                chain.answered(nth, step, paid, Ok(answered.response));
            }
            Err(AskError::Unit(unanswered)) => chain.unanswered(nth, &step, unanswered),
            Err(other) => return Err(other),
        }
        nth += 1;
    }
    Ok(())
}

/// The requests that left a prompt without a usable answer: those are asked again, and no other.
fn asked_again(
    context: &RunContext,
    recall: &Recall,
    question: &GroupQuestion,
) -> Result<HashSet<RequestKey>, StoreError> {
    let mut chain = question.chain(context);
    let replayed = replay(&mut chain, context, recall, Refresh::Nothing)?;
    Ok(chain.troubled().filter_map(|nth| replayed.keys.get(nth).copied()).collect())
}

struct Replayed {
    /// The requests that are answered, in the order in which they are asked.
    keys: Vec<RequestKey>,
    /// The next request, which is not; `None` where nothing is left to ask.
    missing: Option<Step>,
}

/// Takes the chain as far as stored answers lead.
fn replay(
    chain: &mut Chain<'_>,
    context: &RunContext,
    recall: &Recall,
    refresh: Refresh,
) -> Result<Replayed, StoreError> {
    let mut keys = Vec::new();
    while let Some(step) = chain.next() {
        let key = recall.key(&step.request).0;
        let Some(stored) = context.stored(recall, refresh, &key)? else {
            return Ok(Replayed { keys, missing: Some(step) });
        };
        take(chain, keys.len(), step, context, recall, stored);
        keys.push(key);
    }
    Ok(Replayed { keys, missing: None })
}

fn take(
    chain: &mut Chain<'_>,
    nth: usize,
    step: Step,
    context: &RunContext,
    recall: &Recall,
    stored: crate::store::StoredResponse,
) {
    let (paid, response) = match recall.answered(stored) {
        Ok(answered) => (Paid::of(context, recall, &answered.stored), Ok(answered.response)),
        Err(unreadable) => (Paid::of(context, recall, &unreadable.0), Err(unreadable.1)),
    };
    chain.answered(nth, step, paid, response);
}

fn rows(context: &RunContext, chain: Chain<'_>, works: Vec<Work>) -> Settled {
    let mut settled = Settled::default();
    for (work, verdict) in works.into_iter().zip(chain.into_verdicts()) {
        let position = work.position;
        match verdict {
            Some(verdict) => settled.rows.push((position, row(context, work, verdict))),
            None => settled.open.push(position),
        }
    }
    settled
}
