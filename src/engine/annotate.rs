//! From a unit to its row: ask, read the answer, ask once more if it cannot be used, check the evidence. What the store knows is read
//! without asking anybody.

use super::ask::{AskError, Asker, Purpose, Unanswered};
use super::recall::{Answered, Recall};
use super::warmth::Beginnings;
use crate::answer::{self, Answer};
use crate::codebook::Codebook;
use crate::config::Rater;
use crate::llm::existing::{self, Existing};
use crate::llm::{End, Part, Request, Response, Role, Turn, baseline};
use crate::material::Coverage;
use crate::run::{Annotation, Status};
use crate::session::Session;
use crate::store::{RequestKey, RequestParts, StoreError, StoredResponse, Subject};
use crate::unit::Unit;
use crate::usage::Usage;
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::sync::Arc;

/// One unit to annotate.
#[derive(Debug)]
pub struct Work {
    /// Which task of the job.
    pub task: usize,
    /// Where its row stands in the run.
    pub position: usize,
    /// The unit.
    pub unit: Unit,
    /// Its session.
    pub session: Arc<Session>,
    /// How much of the session the rater sees.
    pub coverage: Coverage,
    /// Numbers of the events that the rater sees.
    pub shown: Arc<[u32]>,
    /// Whether there is anything to ask: a session without prompts has nothing that a person wanted.
    pub is_asked: bool,
    /// Which of several answers, from 0.
    pub sample: u32,
}

/// A unit for which a model has to be asked.
#[derive(Debug)]
pub struct Question {
    /// The unit.
    pub work: Work,
    /// What the model is asked.
    pub request: Request,
    /// The name of the answer in the store.
    pub key: RequestKey,
    /// What the key was made of.
    pub parts: RequestParts,
    /// What the provider may have read before.
    pub beginnings: Beginnings,
    /// Hash of the material, as the store notes it; empty until somebody has to be asked.
    pub material: String,
}

/// What the store says of a question.
pub enum Known {
    /// The unit's row: everything it needs was answered before.
    Row(Box<Annotation>),
    /// Nothing, or nothing that may be used.
    Ask(Box<Question>),
}

/// What all rows of a run share.
#[derive(Clone)]
pub struct RunContext {
    /// The codebook.
    pub codebook: Arc<Codebook>,
    /// The run's name.
    pub run: String,
    /// `PROVIDER/MODEL@task-hash`, and what units share a request if any do.
    pub rater: String,
    /// Sampling temperature, if one was asked for.
    pub temperature: Option<f64>,
    /// What `baseline/majority` answers.
    pub majority: Option<Map<String, Value>>,
    /// When it was begun to ask for everything again: what was answered since then is not asked for once more.
    pub refreshing_since: Option<Timestamp>,
}

impl RunContext {
    /// Since when a stored answer has to be to stand; `None` if any does.
    pub(super) fn since(&self, refresh: Refresh) -> Option<Timestamp> {
        match refresh {
            Refresh::Nothing => None,
            Refresh::Trouble => Some(Timestamp::MAX),
            Refresh::Everything => Some(self.refreshing_since.unwrap_or(Timestamp::MAX)),
        }
    }

    /// The stored answer to the request with this key, if it need not be asked for again.
    pub(super) fn stored(
        &self,
        recall: &Recall,
        refresh: Refresh,
        key: &RequestKey,
    ) -> Result<Option<StoredResponse>, StoreError> {
        // Which answers are trouble shows only when they are read.
        let since = match refresh {
            Refresh::Everything => self.since(refresh),
            Refresh::Nothing | Refresh::Trouble => None,
        };
        let stored = recall.stored(key)?;
        Ok(stored.filter(|stored| since.is_none_or(|since| stored.response.created_at >= since)))
    }
}

/// Which stored answers are asked for again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Refresh {
    /// None.
    #[default]
    Nothing,
    /// Those that are no answer in the codebook's form.
    Trouble,
    /// All.
    Everything,
}

/// How a unit was answered, before it is a row.
pub(super) struct Verdict {
    pub status: Status,
    pub detail: Option<String>,
    pub answer: Option<Answer>,
    pub paid: Vec<Paid>,
    /// How often a request was sent that got no answer, if there was one.
    pub unanswered: Option<u32>,
}

/// What one answered request cost its unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Paid {
    pub usage: Option<Usage>,
    pub cost_usd: Option<f64>,
    pub attempts: u32,
    pub latency_ms: u64,
    /// Whether this very run paid.
    pub by_this_run: bool,
}

impl Paid {
    pub fn of(context: &RunContext, recall: &Recall, stored: &StoredResponse) -> Paid {
        let response = &stored.response;
        let price = recall.model.price.as_ref();
        Paid {
            usage: response.usage,
            cost_usd: price.and_then(|price| response.cost(price)),
            attempts: response.attempts,
            latency_ms: u64::try_from(response.latency.as_millis()).unwrap_or(u64::MAX),
            by_this_run: response.run == context.run,
        }
    }
}

impl Verdict {
    /// An answer that nobody was asked for.
    fn answered(fields: Map<String, Value>) -> Verdict {
        let answer = Some(Answer { fields, evidence: Vec::new(), repaired: None });
        Verdict { status: Status::Ok, detail: None, answer, paid: Vec::new(), unanswered: None }
    }

    pub fn none(status: Status, detail: impl Into<String>, paid: Vec<Paid>) -> Verdict {
        Verdict { status, detail: Some(detail.into()), answer: None, paid, unanswered: None }
    }
}

/// Annotates without asking anyone.
pub fn baseline_row(context: &RunContext, rater: &Rater, work: Work) -> Annotation {
    if let Rater::Labels = rater {
        let verdict = match existing::label(&context.codebook, &work.session, &work.unit) {
            Existing::Answer(fields) => Verdict::answered(fields),
            Existing::None(why) => Verdict::none(Status::Skipped, why, Vec::new()),
            Existing::Invalid(why) => Verdict::none(Status::Invalid, why, Vec::new()),
        };
        return row(context, work, verdict);
    }
    let fields = match rater {
        Rater::Majority => context.majority.clone(),
        _ => Some(baseline::cues(&context.codebook, &work.session, &work.unit)),
    };
    let verdict = match (work.is_asked, fields) {
        (false, _) => nothing_to_ask(),
        (true, Some(fields)) => Verdict::answered(fields),
        (true, None) => {
            Verdict::none(Status::Skipped, "there is no gold to take the most frequent answer from", Vec::new())
        }
    };
    row(context, work, verdict)
}

/// The row of a unit for which nobody can be asked anything.
pub fn skipped_row(context: &RunContext, work: Work) -> Annotation {
    row(context, work, nothing_to_ask())
}

/// Annotates from the store, as far as that is allowed and possible.
pub fn from_store(
    context: &RunContext,
    recall: &Recall,
    refresh: Refresh,
    question: Box<Question>,
) -> Result<Known, StoreError> {
    let Some(first) = context.stored(recall, refresh, &question.key)? else { return Ok(Known::Ask(question)) };
    let verdict = match Reading::of(context, recall, recall.answered(first)) {
        Reading::Done(verdict) => verdict,
        Reading::Unusable { reason, text, paid } => {
            let again = second_request(&question.request, &text, &reason);
            let Some(second) = context.stored(recall, refresh, &recall.key(&again).0)? else {
                return Ok(Known::Ask(question));
            };
            second_verdict(Reading::of(context, recall, recall.answered(second)), &reason, paid)
        }
    };
    if refresh == Refresh::Trouble && verdict.status.is_trouble() {
        return Ok(Known::Ask(question));
    }
    Ok(Known::Row(Box::new(row(context, question.work, verdict))))
}

/// What is still to be asked of a question for which the store has no row: the question itself, or the second one that follows from its
/// stored answer.
pub fn outstanding(context: &RunContext, recall: &Recall, question: Question) -> Result<Question, StoreError> {
    let Some(first) = recall.stored(&question.key)? else { return Ok(question) };
    match Reading::of(context, recall, recall.answered(first)) {
        Reading::Done(_) => Ok(question),
        Reading::Unusable { reason, text, .. } => {
            let request = second_request(&question.request, &text, &reason);
            let (key, parts) = recall.key(&request);
            Ok(Question { request, key, parts, ..question })
        }
    }
}

/// Annotates by asking a model.
pub async fn by_asking(
    context: &RunContext,
    asker: &Asker,
    refresh: Refresh,
    question: Question,
) -> Result<Annotation, AskError> {
    let Question { work, request, key, parts, beginnings, material } = question;
    let subject = subject(&context.codebook, &work.unit, material);
    let (run, task) = (&context.run, &context.codebook.task);
    let purpose = Purpose { run, task, subject: &subject, since: context.since(refresh) };
    let first = match asker.ask(&request, key, parts, &beginnings, purpose).await {
        Ok(answered) => answered,
        Err(AskError::Unit(Unanswered { status, reason, attempts, .. })) => {
            let verdict = Verdict { unanswered: Some(attempts), ..Verdict::none(status, reason, Vec::new()) };
            return Ok(row(context, work, verdict));
        }
        Err(other) => return Err(other),
    };
    let verdict = match Reading::of(context, &asker.recall, Ok(first)) {
        Reading::Done(verdict) => verdict,
        Reading::Unusable { reason, text, paid } => {
            let again = second_request(&request, &text, &reason);
            let (key, parts) = asker.recall.key(&again);
            // It begins as the first one, which the provider has just read.
            match asker.ask(&again, key, parts, &Beginnings::default(), purpose).await {
                Ok(second) => second_verdict(Reading::of(context, &asker.recall, Ok(second)), &reason, paid),
                Err(AskError::Unit(Unanswered { status, reason: failure, attempts, .. })) => {
                    let detail = format!("{reason}; asked again without an answer: {failure}");
                    Verdict { unanswered: Some(attempts), ..Verdict::none(status, detail, paid) }
                }
                Err(other) => return Err(other),
            }
        }
    };
    Ok(row(context, work, verdict))
}

/// What a request is about, as the store notes it.
pub fn subject(codebook: &Codebook, unit: &Unit, material: String) -> Subject {
    Subject { unit: unit.id.clone(), codebook: codebook.hash.short().to_owned(), material }
}

/// The beginning of a material's hash, as the store notes it.
pub fn material_hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

fn nothing_to_ask() -> Verdict {
    Verdict::none(Status::Skipped, "nobody typed a prompt in this session", Vec::new())
}

/// What an answer says.
enum Reading {
    /// It settles the unit.
    Done(Verdict),
    /// It is in no form that the codebook knows.
    Unusable { reason: String, text: String, paid: Vec<Paid> },
}

impl Reading {
    fn of(context: &RunContext, recall: &Recall, answered: Result<Answered, Box<(StoredResponse, String)>>) -> Reading {
        let Answered { stored, response: Response { text, end, .. } } = match answered {
            Ok(answered) => answered,
            Err(unreadable) => {
                let (stored, reason) = *unreadable;
                let paid = vec![Paid::of(context, recall, &stored)];
                return Reading::Done(Verdict::none(Status::Failed, reason, paid));
            }
        };
        let paid = vec![Paid::of(context, recall, &stored)];
        match end {
            End::Stop => match answer::read(&context.codebook, &text) {
                Ok(answer) => {
                    let status = if answer.repaired.is_some() { Status::Repaired } else { Status::Ok };
                    let detail = answer.repaired.map(str::to_owned);
                    Reading::Done(Verdict { status, detail, answer: Some(answer), paid, unanswered: None })
                }
                Err(error) => Reading::Unusable { reason: error.to_string(), text, paid },
            },
            End::Length => {
                Reading::Done(Verdict::none(Status::Truncated, "a length limit cut the answer".to_owned(), paid))
            }
            End::Refusal(reason) => Reading::Done(Verdict::none(Status::Refused, reason, paid)),
            End::Other(reason) => {
                Reading::Done(Verdict::none(Status::Failed, format!("the answer ended with {reason}"), paid))
            }
        }
    }
}

/// What a second answer settles; the first could not be used for `reason` and was `paid` as well.
fn second_verdict(second: Reading, reason: &str, mut paid: Vec<Paid>) -> Verdict {
    match second {
        Reading::Done(mut verdict) => {
            paid.append(&mut verdict.paid);
            verdict.paid = paid;
            verdict.detail = Some(match (&verdict.answer, verdict.detail) {
                (Some(_), _) => format!("second answer; the first could not be used: {reason}"),
                (None, detail) => format!("{reason}; asked again: {}", detail.unwrap_or_default()),
            });
            verdict
        }
        Reading::Unusable { reason: second, paid: mut more, .. } => {
            paid.append(&mut more);
            Verdict::none(Status::Invalid, format!("{reason}; asked again: {second}"), paid)
        }
    }
}

/// The same question, with the unusable answer and what is wrong with it.
fn second_request(request: &Request, text: &str, reason: &str) -> Request {
    let complaint = format!(
        "Your answer could not be used: {reason}. Answer again, with nothing but the JSON object that was asked for."
    );
    complaining(request, text, complaint)
}

/// The same question, with the answer to it and what is wrong with that.
pub(super) fn complaining(request: &Request, text: &str, complaint: String) -> Request {
    let mut again = request.clone();
    let part = |text: String| Part { text, cache_mark: false };
    if text.trim().is_empty() {
        if let Some(last) = again.turns.last_mut() {
            last.parts.push(part(format!("\n\n{complaint}")));
        }
    } else {
        again.turns.push(Turn { role: Role::Assistant, parts: vec![part(text.to_owned())] });
        again.turns.push(Turn { role: Role::User, parts: vec![part(complaint)] });
    }
    again
}

/// The row of a unit that was answered so.
pub(super) fn row(context: &RunContext, work: Work, verdict: Verdict) -> Annotation {
    let Work { unit, session, coverage, shown, is_asked, sample, task: _, position: _ } = work;
    let Verdict { status, detail, answer, paid, unanswered } = verdict;
    // A request without an answer may have been billed all the same. What asked nobody cost nothing; what was asked costs what the price
    // table knows.
    let (usage, cost_usd) = match unanswered {
        Some(_) => (None, None),
        None => (
            paid.iter().map(|paid| paid.usage).sum(),
            paid.iter().map(|paid| paid.cost_usd).sum::<Option<f64>>().map(|cost| cost + 0.0),
        ),
    };
    let (fields, evidence) = match answer {
        Some(answer) => (answer.fields, answer::check_evidence(&session, &shown, answer.evidence)),
        None => (Map::new(), Vec::new()),
    };
    Annotation {
        unit: unit.id,
        session: unit.session,
        task: context.codebook.task.clone(),
        rater: context.rater.clone(),
        sample,
        status,
        detail,
        fields,
        evidence,
        coverage: if is_asked { coverage } else { Coverage::NONE },
        usage,
        cost_usd,
        cached: !paid.is_empty() && paid.iter().all(|paid| !paid.by_this_run),
        attempts: paid.iter().map(|paid| paid.attempts).sum::<u32>() + unanswered.unwrap_or(0),
        latency_ms: paid.iter().map(|paid| paid.latency_ms).fold(0, u64::saturating_add),
    }
}
