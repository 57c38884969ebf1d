//! From a unit to its row: ask, read the answer, ask once more if it cannot be used, check the evidence.

use super::ask::{AskError, Asker, Purpose, Unanswered};
use crate::answer::{self, Answer};
use crate::codebook::Codebook;
use crate::config::Rater;
use crate::llm::existing::{self, Existing};
use crate::llm::{End, Part, Request, Role, Turn, baseline};
use crate::material::{Coverage, Material};
use crate::prompt::Prompt;
use crate::run::{Annotation, Status};
use crate::session::Session;
use crate::store::StoredResponse;
use crate::unit::Unit;
use crate::usage::Usage;
use serde_json::{Map, Value};
use std::sync::Arc;

/// One unit to annotate, ready to be asked.
pub struct Work {
    /// Which task of the job.
    pub task: usize,
    /// Where its row stands in the run.
    pub position: usize,
    /// The unit.
    pub unit: Unit,
    /// Its session.
    pub session: Arc<Session>,
    /// What the rater sees.
    pub material: Material,
    /// What the rater is asked; `None` where there is nothing to ask.
    pub prompt: Option<Prompt>,
    /// Which of several answers, from 0.
    pub sample: u32,
}

/// What all rows of a run share.
#[derive(Clone)]
pub struct RunContext {
    /// The codebook.
    pub codebook: Arc<Codebook>,
    /// The run's name.
    pub run: String,
    /// `PROVIDER/MODEL@task-hash`.
    pub rater: String,
    /// Sampling temperature, if one was asked for.
    pub temperature: Option<f64>,
    /// What `baseline/majority` answers.
    pub majority: Option<Map<String, Value>>,
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
struct Verdict {
    status: Status,
    detail: Option<String>,
    answer: Option<Answer>,
    paid: Vec<StoredResponse>,
    /// Requests without an answer.
    unanswered: u32,
}

impl Verdict {
    /// An answer that nobody was asked for.
    fn answered(fields: Map<String, Value>) -> Verdict {
        let answer = Some(Answer { fields, evidence: Vec::new(), repaired: None });
        Verdict { status: Status::Ok, detail: None, answer, paid: Vec::new(), unanswered: 0 }
    }

    fn none(status: Status, detail: impl Into<String>, paid: Vec<StoredResponse>) -> Verdict {
        Verdict { status, detail: Some(detail.into()), answer: None, paid, unanswered: 0 }
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
        return row(context, work, verdict, None);
    }
    let fields = match rater {
        Rater::Majority => context.majority.clone(),
        _ => Some(baseline::cues(&context.codebook, &work.session, &work.unit)),
    };
    let verdict = match (&work.prompt, fields) {
        (None, _) => nothing_to_ask(),
        (Some(_), Some(fields)) => Verdict::answered(fields),
        (Some(_), None) => {
            Verdict::none(Status::Skipped, "there is no gold to take the most frequent answer from", Vec::new())
        }
    };
    row(context, work, verdict, None)
}

/// Annotates by asking a model.
pub async fn model_row(
    context: &RunContext,
    asker: &Asker,
    refresh: Refresh,
    work: Work,
) -> Result<Annotation, AskError> {
    let Some(prompt) = &work.prompt else { return Ok(row(context, work, nothing_to_ask(), Some(asker))) };
    let model = &asker.model;
    let request = prompt.request(&model.name.model, context.temperature, model.max_output_tokens, work.sample);
    // A run that is told to end keeps the answers that it has.
    let refresh = if asker.wind_down.is_cancelled() { Refresh::Nothing } else { refresh };
    let known = asker.stored(&request)?.is_some();
    let mut verdict = ask_for_verdict(context, asker, &request, refresh == Refresh::Everything).await?;
    if refresh == Refresh::Trouble && known && verdict.status.is_trouble() {
        verdict = ask_for_verdict(context, asker, &request, true).await?;
    }
    Ok(row(context, work, verdict, Some(asker)))
}

fn nothing_to_ask() -> Verdict {
    Verdict::none(Status::Skipped, "nobody typed a prompt in this session", Vec::new())
}

async fn ask_for_verdict(
    context: &RunContext,
    asker: &Asker,
    request: &Request,
    anew: bool,
) -> Result<Verdict, AskError> {
    let purpose = Purpose { run: &context.run, task: &context.codebook.task, anew };
    let first = match asker.ask(request, purpose).await {
        Ok(stored) => stored,
        Err(AskError::Unit(Unanswered { status, reason, attempts, .. })) => {
            return Ok(Verdict { unanswered: attempts, ..Verdict::none(status, reason, Vec::new()) });
        }
        Err(other) => return Err(other),
    };
    let (reason, text) = match read(context, asker, &first) {
        Reading::Answer(answer) => {
            let status = if answer.repaired.is_some() { Status::Repaired } else { Status::Ok };
            let detail = answer.repaired.map(str::to_owned);
            return Ok(Verdict { status, detail, answer: Some(answer), paid: vec![first], unanswered: 0 });
        }
        Reading::None(status, detail) => return Ok(Verdict::none(status, detail, vec![first])),
        Reading::Invalid { reason, text } => (reason, text),
    };
    let again = second_request(request, &text, &reason);
    let second = match asker.ask(&again, purpose).await {
        Ok(stored) => stored,
        Err(AskError::Unit(Unanswered { status, reason: failure, attempts, .. })) => {
            let detail = format!("{reason}; asked again without an answer: {failure}");
            return Ok(Verdict { unanswered: attempts, ..Verdict::none(status, detail, vec![first]) });
        }
        Err(other) => return Err(other),
    };
    let reading = read(context, asker, &second);
    let paid = vec![first, second];
    Ok(match reading {
        Reading::Answer(answer) => {
            let status = if answer.repaired.is_some() { Status::Repaired } else { Status::Ok };
            let detail = Some(format!("second answer; the first could not be used: {reason}"));
            Verdict { status, detail, answer: Some(answer), paid, unanswered: 0 }
        }
        Reading::None(status, detail) => Verdict::none(status, format!("{reason}; asked again: {detail}"), paid),
        Reading::Invalid { reason: second, .. } => {
            Verdict::none(Status::Invalid, format!("{reason}; asked again: {second}"), paid)
        }
    })
}

/// What a stored response says.
enum Reading {
    Answer(Answer),
    None(Status, String),
    Invalid { reason: String, text: String },
}

fn read(context: &RunContext, asker: &Asker, stored: &StoredResponse) -> Reading {
    let response = match asker.model.adapter.decode(stored.response.body.as_bytes()) {
        Ok(response) => response,
        Err(error) => return Reading::None(Status::Failed, error.to_string()),
    };
    match response.end {
        End::Stop => match answer::read(&context.codebook, &response.text) {
            Ok(answer) => Reading::Answer(answer),
            Err(error) => Reading::Invalid { reason: error.to_string(), text: response.text },
        },
        End::Length => Reading::None(Status::Truncated, "a length limit cut the answer".to_owned()),
        End::Refusal(reason) => Reading::None(Status::Refused, reason),
        End::Other(reason) => Reading::None(Status::Failed, format!("the answer ended with {reason}")),
    }
}

/// The same question, with the unusable answer and what is wrong with it.
fn second_request(request: &Request, text: &str, reason: &str) -> Request {
    let mut again = request.clone();
    let part = |text: String| Part { text, cache_mark: false };
    let complaint = part(format!(
        "Your answer could not be used: {reason}. Answer again, with nothing but the JSON object that was asked for."
    ));
    if text.trim().is_empty() {
        if let Some(last) = again.turns.last_mut() {
            last.parts.push(complaint);
        }
    } else {
        again.turns.push(Turn { role: Role::Assistant, parts: vec![part(text.to_owned())] });
        again.turns.push(Turn { role: Role::User, parts: vec![complaint] });
    }
    again
}

fn row(context: &RunContext, work: Work, verdict: Verdict, asker: Option<&Asker>) -> Annotation {
    let Work { unit, session, material, prompt, sample, task: _, position: _ } = work;
    let Verdict { status, detail, answer, paid, unanswered } = verdict;
    let usages: Vec<Option<Usage>> = paid.iter().map(|stored| stored.response.usage).collect();
    // A request without an answer may have been billed all the same.
    let usage = if unanswered > 0 { None } else { usages.iter().copied().sum::<Option<Usage>>() };
    let price = asker.and_then(|asker| asker.model.price.as_ref());
    // What asked nobody cost nothing; what was asked costs what the price table knows.
    let cost_usd = match (paid.is_empty(), price) {
        _ if unanswered > 0 => None,
        (true, _) => Some(0.0),
        (false, None) => None,
        (false, Some(price)) => usages.iter().map(|usage| usage.map(|usage| price.cost(&usage))).sum(),
    };
    let (fields, evidence) = match answer {
        Some(answer) => (answer.fields, answer::check_evidence(&session, &material.shown, answer.evidence)),
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
        coverage: if prompt.is_some() { material.coverage } else { Coverage { tokens: 0.0, prompts: 0.0 } },
        usage,
        cost_usd,
        cached: !paid.is_empty() && paid.iter().all(|stored| stored.response.run != context.run),
        attempts: paid.iter().map(|stored| stored.response.attempts).sum::<u32>() + unanswered,
        latency_ms: paid
            .iter()
            .map(|stored| u64::try_from(stored.response.latency.as_millis()).unwrap_or(u64::MAX))
            .sum(),
    }
}
