//! Raters that ask nobody: a floor that a model has to beat. Pure functions of codebook, session and gold.

use crate::codebook::{Codebook, CuePlace, Field, FieldKind, Labels, Score};
use crate::session::{EventBody, Session};
use crate::unit::Unit;
use regex::Regex;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Annotates by the codebook's cue words and by the structure of the session.
///
/// A label's cues are counted in the unit's prompts (a prompt's own words, or all prompts of a session); the most hits win, the earlier
/// label on a tie; without a hit the first label that has no cues. A score starts at its `start` and moves with its cues. Shares are the
/// shares of tool calls in the part's categories.
pub fn cues(codebook: &Codebook, session: &Session, unit: &Unit) -> Map<String, Value> {
    let prompts: Vec<&str> = session
        .prompts()
        .filter(|(event, _)| unit.prompt.is_none_or(|target| target.event == event.number))
        .map(|(_, prompt)| prompt.text.as_str())
        .collect();
    codebook
        .fields
        .iter()
        .filter(|field| !matches!(field.kind, FieldKind::Evidence))
        .map(|field| (field.name.clone(), cue_value(field, session, &prompts)))
        .collect()
}

fn cue_value(field: &Field, session: &Session, prompts: &[&str]) -> Value {
    match &field.kind {
        FieldKind::Label(labels) => Value::String(cue_label(labels, prompts)),
        FieldKind::Labels(labels) => labels
            .labels
            .iter()
            .filter(|label| hits(&label.cues, prompts) > 0)
            .map(|label| label.name.clone())
            .collect(),
        FieldKind::Score(score) => Value::from(cue_score(score, session, prompts)),
        FieldKind::Number => json!(0),
        FieldKind::Flag { cues } => Value::Bool(hits(cues, prompts) > 0),
        FieldKind::Text => Value::String("by cue words and structure, not by reading".to_owned()),
        FieldKind::Shares(parts) => {
            let categories: Vec<Vec<_>> = parts.iter().map(|part| part.tools.clone()).collect();
            let counts: Vec<usize> = categories
                .iter()
                .map(|tools| session.tool_calls().filter(|(_, call)| tools.contains(&call.category)).count())
                .collect();
            let shares = percentages(&counts);
            Value::Object(parts.iter().map(|part| part.name.clone()).zip(shares.into_iter().map(Value::from)).collect())
        }
        FieldKind::Criteria(criteria) => {
            Value::Object(criteria.iter().map(|criterion| (criterion.name.clone(), Value::Bool(false))).collect())
        }
        FieldKind::Evidence => Value::Array(Vec::new()),
    }
}

fn hits(cues: &[Regex], prompts: &[&str]) -> usize {
    prompts.iter().map(|prompt| cues.iter().filter(|cue| cue.is_match(prompt)).count()).sum()
}

fn cue_label(labels: &Labels, prompts: &[&str]) -> String {
    let mut best: Option<(usize, &str)> = None;
    for label in &labels.labels {
        let count = hits(&label.cues, prompts);
        if count > 0 && best.is_none_or(|(most, _)| count > most) {
            best = Some((count, &label.name));
        }
    }
    let fallback = || labels.labels.iter().find(|label| label.cues.is_empty()).or(labels.labels.last());
    best.map(|(_, name)| name).or_else(|| fallback().map(|label| label.name.as_str())).unwrap_or_default().to_owned()
}

fn cue_score(score: &Score, session: &Session, prompts: &[&str]) -> i64 {
    let last_reply = session.events.iter().rev().find_map(|event| match &event.body {
        EventBody::Reply { text } => Some(text.as_str()),
        _ => None,
    });
    let commits: Vec<&str> = session.commits().map(|(_, subject)| subject).collect();
    let moved: i64 = score
        .cues
        .iter()
        .map(|cue| {
            let texts: Vec<&str> = match cue.place {
                CuePlace::Prompts => prompts.to_vec(),
                CuePlace::LastPrompt => prompts.last().copied().into_iter().collect(),
                CuePlace::LastReply => last_reply.into_iter().collect(),
                CuePlace::Commits => commits.clone(),
            };
            let found = texts.iter().filter(|text| cue.pattern.is_match(text)).count();
            // A commit is a commit: many of them are no better an end than one.
            let times = if cue.place == CuePlace::Commits { found.min(1) } else { found };
            cue.add * times as i64
        })
        .sum();
    (score.start.unwrap_or((score.min + score.max) / 2) + moved).clamp(score.min, score.max)
}

/// Whole percentages that sum to 100, by largest remainder; all in the last part where there is nothing to count.
fn percentages(counts: &[usize]) -> Vec<i64> {
    let total: usize = counts.iter().sum();
    if total == 0 {
        return (0..counts.len()).map(|at| if at + 1 == counts.len() { 100 } else { 0 }).collect();
    }
    let mut shares: Vec<i64> = counts.iter().map(|count| (count * 100 / total) as i64).collect();
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(counts[*at] * 100 % total));
    let missing = 100 - shares.iter().sum::<i64>();
    for at in order.into_iter().take(usize::try_from(missing).unwrap_or(0)) {
        shares[at] += 1;
    }
    shares
}

/// The answer that is most frequent in `gold` (the median of scores and numbers, the mean of shares), for every unit alike.
///
/// It is taken from the gold it is then scored on, which flatters it a little; `None` where a measured field has no gold.
pub fn majority(codebook: &Codebook, gold: &[&Map<String, Value>]) -> Option<Map<String, Value>> {
    codebook
        .fields
        .iter()
        .filter(|field| !matches!(field.kind, FieldKind::Evidence))
        .map(|field| {
            let values: Vec<&Value> = gold.iter().filter_map(|row| row.get(&field.name)).collect();
            let value = match &field.kind {
                FieldKind::Text => Some(Value::String("the most frequent gold answer, whatever the unit".to_owned())),
                FieldKind::Score(score) => {
                    Some(median(&values).map_or((score.min + score.max) / 2, |median| median.round() as i64).into())
                }
                FieldKind::Number => median(&values).map(Value::from),
                FieldKind::Shares(parts) => mean_shares(parts.iter().map(|part| part.name.as_str()), &values),
                _ => most_frequent(&values),
            };
            value.map(|value| (field.name.clone(), value))
        })
        .collect()
}

fn most_frequent(values: &[&Value]) -> Option<Value> {
    let mut counts: BTreeMap<String, (usize, &Value)> = BTreeMap::new();
    for value in values {
        counts.entry(value.to_string()).or_insert((0, value)).0 += 1;
    }
    // On a tie the first in order of text: the same answer on every run.
    let most = counts.values().map(|(count, _)| *count).max()?;
    counts.into_values().find(|(count, _)| *count == most).map(|(_, value)| value.clone())
}

fn median(values: &[&Value]) -> Option<f64> {
    let mut numbers: Vec<f64> = values.iter().filter_map(|value| value.as_f64()).collect();
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.len() {
        0 => None,
        n if n % 2 == 1 => Some(numbers[middle]),
        _ => Some(f64::midpoint(numbers[middle - 1], numbers[middle])),
    }
}

fn mean_shares<'n>(parts: impl Iterator<Item = &'n str>, values: &[&Value]) -> Option<Value> {
    if values.is_empty() {
        return None;
    }
    let mean =
        |part: &str| values.iter().filter_map(|value| value.get(part)?.as_f64()).sum::<f64>() / values.len() as f64;
    let means: Vec<(String, f64)> = parts.map(|part| (part.to_owned(), (mean(part) * 100.0).round() / 100.0)).collect();
    Some(Value::Object(means.into_iter().map(|(part, mean)| (part, Value::from(mean))).collect()))
}

#[cfg(test)]
mod tests;
