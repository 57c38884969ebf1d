//! What is asked of a group of prompts, one request after the other, until each prompt is settled: takes answers, gives the next request.
//! Pure: the same answers lead to the same requests, so that what is stored is found again.
//!
//! - A prompt whose entry is missing, double or wrong is asked for once more, together with the others of the same answer; after that it is
//!   invalid, as a prompt that was asked for alone would be.
//! - Where a length limit cut the answer, whole entries count, and the rest is asked for in groups of half the size; a prompt whose answer
//!   is cut although it was asked for alone is truncated.
//! - A refusal, or an end that is no answer, holds for all prompts of the request.

use super::super::annotate::{Paid, RunContext, Verdict, complaining};
use super::super::ask::Unanswered;
use crate::answer::group::{GroupAnswer, read, read_cut};
use crate::llm::{End, Part, Request, Response};
use crate::run::Status;
use crate::usage::part;
use std::collections::VecDeque;

/// One request of the chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What is asked.
    pub request: Request,
    /// The prompts that it asks for, by their places in the group.
    pub members: Vec<usize>,
    /// The request without the sentence that asks for fewer prompts.
    whole: Request,
    /// Why the first answers could not be used, if this is the second time; a line a member.
    complaints: Option<Vec<String>>,
    /// Whether it asks for fewer prompts because an answer to more was cut.
    is_smaller: bool,
}

/// The state of a group.
pub struct Chain<'c> {
    context: &'c RunContext,
    /// Numbers of the prompts' events.
    numbers: Vec<u32>,
    pending: VecDeque<Step>,
    members: Vec<Member>,
}

#[derive(Default)]
struct Member {
    ended: Option<(Status, Option<String>, Option<crate::answer::Answer>)>,
    /// Which step ended it, counted from 0.
    step: usize,
    paid: Vec<Paid>,
    unanswered: Option<u32>,
}

impl<'c> Chain<'c> {
    /// A group of prompts with these event numbers that nobody was asked about yet.
    pub fn new(context: &'c RunContext, numbers: Vec<u32>, request: Request) -> Chain<'c> {
        let first = Step {
            members: (0..numbers.len()).collect(),
            whole: request.clone(),
            request,
            complaints: None,
            is_smaller: false,
        };
        let members = numbers.iter().map(|_| Member::default()).collect();
        Chain { context, numbers, pending: VecDeque::from([first]), members }
    }

    /// The next request; `None` once every prompt is settled.
    pub fn next(&mut self) -> Option<Step> {
        self.pending.pop_front()
    }

    /// Takes the answer to a step; `nth` counts the steps.
    pub fn answered(&mut self, nth: usize, step: Step, paid: Paid, response: Result<Response, String>) {
        self.charge(&step, &paid);
        let together = |reason: String| match step.members.len() {
            1 => reason,
            n => format!("asked for with {} other prompts: {reason}", n - 1),
        };
        let (text, is_cut) = match response {
            Ok(Response { text, end: End::Stop, .. }) => (text, false),
            Ok(Response { text, end: End::Length, .. }) => (text, true),
            Ok(Response { end: End::Refusal(reason), .. }) => {
                return self.end_all(nth, &step, Status::Refused, &together(reason));
            }
            Ok(Response { end: End::Other(reason), .. }) => {
                return self.end_all(nth, &step, Status::Failed, &together(format!("the answer ended with {reason}")));
            }
            Err(reason) => return self.end_all(nth, &step, Status::Failed, &together(reason)),
        };
        let numbers: Vec<u32> = step.members.iter().map(|member| self.numbers[*member]).collect();
        let reader = if is_cut { read_cut } else { read };
        let GroupAnswer { answers, stray } = reader(&self.context.codebook, &numbers, &text);
        let mut open: Vec<(usize, String)> = Vec::new();
        for (at, answer) in answers.into_iter().enumerate() {
            match answer {
                Ok(answer) => {
                    let (status, detail) = settled(&step, at, answer.repaired, stray.as_deref());
                    self.end(nth, step.members[at], status, detail, Some(answer));
                }
                Err(reason) => open.push((at, reason)),
            }
        }
        if is_cut { self.after_cut(nth, &step, &open) } else { self.after_trouble(nth, &step, open, stray, &text) }
    }

    /// No answer came to a step.
    pub fn unanswered(&mut self, nth: usize, step: &Step, Unanswered { status, reason, attempts }: Unanswered) {
        let of = step.members.len();
        for (at, member) in step.members.iter().enumerate() {
            let attempts = part(u64::from(attempts), at, of);
            let sum = &mut self.members[*member].unanswered;
            *sum = Some(sum.unwrap_or(0) + u32::try_from(attempts).unwrap_or(u32::MAX));
            let detail = match step.complaints.as_ref() {
                Some(complaints) => format!("{}; asked again without an answer: {reason}", complaints[at]),
                None => reason.clone(),
            };
            self.end(nth, *member, status, Some(detail), None);
        }
    }

    /// The steps that left a prompt without a usable answer.
    pub fn troubled(&self) -> impl Iterator<Item = usize> {
        self.members
            .iter()
            .filter(|member| member.ended.as_ref().is_some_and(|(status, ..)| status.is_trouble()))
            .map(|member| member.step)
    }

    /// How each prompt ended; `None` for those that are still to be asked for.
    pub(in super::super) fn into_verdicts(self) -> impl Iterator<Item = Option<Verdict>> {
        self.members.into_iter().map(|Member { ended, paid, unanswered, step: _ }| {
            ended.map(|(status, detail, answer)| Verdict { status, detail, answer, paid, unanswered })
        })
    }

    /// Divides what a step cost over its prompts: counts so that they add up, money evenly. Each waited for all of the time.
    fn charge(&mut self, step: &Step, paid: &Paid) {
        let of = step.members.len();
        let mut left = paid.cost_usd;
        for (at, member) in step.members.iter().enumerate() {
            let even = paid.cost_usd.map(|cost| cost / of as f64);
            let cost_usd = if at + 1 == of { left } else { even };
            left = left.zip(cost_usd).map(|(left, cost)| left - cost);
            self.members[*member].paid.push(Paid {
                usage: paid.usage.map(|usage| usage.part(at, of)),
                cost_usd,
                attempts: u32::try_from(part(u64::from(paid.attempts), at, of)).unwrap_or(u32::MAX),
                ..*paid
            });
        }
    }

    fn end(
        &mut self,
        step: usize,
        member: usize,
        status: Status,
        detail: Option<String>,
        answer: Option<crate::answer::Answer>,
    ) {
        let member = &mut self.members[member];
        (member.ended, member.step) = (Some((status, detail, answer)), step);
    }

    fn end_all(&mut self, nth: usize, step: &Step, status: Status, reason: &str) {
        for (at, member) in step.members.iter().enumerate() {
            let detail = match &step.complaints {
                Some(complaints) => format!("{}; asked again: {reason}", complaints[at]),
                None => reason.to_owned(),
            };
            self.end(nth, *member, status, Some(detail), None);
        }
    }

    /// Asks for what a cut answer lacks in groups of half the size.
    fn after_cut(&mut self, nth: usize, step: &Step, open: &[(usize, String)]) {
        if step.members.len() == 1 {
            for (at, _) in open {
                let reason = "a length limit cut the answer".to_owned();
                let detail = match &step.complaints {
                    Some(complaints) => format!("{}; asked again: {reason}", complaints[*at]),
                    None => reason,
                };
                self.end(nth, step.members[*at], Status::Truncated, Some(detail), None);
            }
            return;
        }
        for half in open.chunks(step.members.len().div_ceil(2)) {
            let members: Vec<usize> = half.iter().map(|(at, _)| step.members[*at]).collect();
            let complaints = step.complaints.as_ref().map(|all| half.iter().map(|(at, _)| all[*at].clone()).collect());
            self.pending.push_back(Step {
                request: for_fewer(&step.whole, &self.listed(&members)),
                whole: step.whole.clone(),
                members,
                complaints,
                is_smaller: true,
            });
        }
    }

    /// Asks once more for what a whole answer lacks; what it lacks for the second time is invalid.
    fn after_trouble(
        &mut self,
        nth: usize,
        step: &Step,
        open: Vec<(usize, String)>,
        stray: Option<String>,
        text: &str,
    ) {
        let stray = stray.map(|stray| format!("; there is also {stray}")).unwrap_or_default();
        if let Some(first) = &step.complaints {
            for (at, second) in open {
                let detail = format!("{}; asked again: {second}{stray}", first[at]);
                self.end(nth, step.members[at], Status::Invalid, Some(detail), None);
            }
            return;
        }
        if open.is_empty() {
            return;
        }
        let members: Vec<usize> = open.iter().map(|(at, _)| step.members[*at]).collect();
        let one_reason = open.len() == step.members.len() && open.iter().all(|(_, reason)| *reason == open[0].1);
        let reasons = match one_reason {
            true => open[0].1.clone(),
            false => {
                let each =
                    open.iter().map(|(at, reason)| format!("event {}: {reason}", self.numbers[step.members[*at]]));
                each.collect::<Vec<_>>().join("; ")
            }
        };
        let complaint = format!(
            "Your answer could not be used: {reasons}{stray}. Answer again for {} and for no other, with nothing but a JSON object with \
             `answers` as it was asked for.",
            self.listed(&members)
        );
        let again = complaining(&step.request, text, complaint);
        self.pending.push_back(Step {
            request: again.clone(),
            whole: again,
            members,
            complaints: Some(open.into_iter().map(|(_, reason)| format!("{reason}{stray}")).collect()),
            is_smaller: false,
        });
    }

    fn listed(&self, members: &[usize]) -> String {
        let numbers: Vec<String> = members.iter().map(|member| self.numbers[*member].to_string()).collect();
        match numbers.as_slice() {
            [only] => format!("event {only}"),
            _ => format!("events {}", numbers.join(", ")),
        }
    }
}

/// The state of a prompt whose entry can be used, and what had to be forgiven or done for it.
fn settled(step: &Step, at: usize, repaired: Option<&str>, stray: Option<&str>) -> (Status, Option<String>) {
    let stray = stray.map(|stray| format!("left out {stray}"));
    let forgiven: Vec<&str> = repaired.into_iter().chain(stray.as_deref()).collect();
    let status = if forgiven.is_empty() { Status::Ok } else { Status::Repaired };
    let detail = match &step.complaints {
        Some(complaints) => Some(format!("second answer; the first could not be used: {}", complaints[at])),
        None if !forgiven.is_empty() => Some(forgiven.join("; ")),
        None if step.is_smaller => {
            Some("asked for again with fewer others: a length limit had cut the answer before".to_owned())
        }
        None => None,
    };
    (status, detail)
}

/// The same question, for some of the prompts.
fn for_fewer(request: &Request, listed: &str) -> Request {
    let mut fewer = request.clone();
    let text = format!(
        "\n\nAn answer for all of these prompts at once is too long. Answer now for {listed} and for no other, in the same form."
    );
    if let Some(last) = fewer.turns.last_mut() {
        last.parts.push(Part { text, cache_mark: false });
    }
    fewer
}

#[cfg(test)]
mod tests;
