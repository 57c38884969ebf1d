//! That a chain ends, settles every prompt and loses no token, whatever a model answers.

use super::*;
use crate::codebook::Codebook;
use crate::llm::{AnswerSchema, Role, Turn};
use crate::usage::Usage;
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;

fn context() -> RunContext {
    let text = "+++\ntask = \"mood\"\ntitle = \"Mood\"\nunit = \"prompt\"\nsees = {}\ngroup = true\n[[field]]\nname = \"why\"\ntype = \
                \"text\"\n+++\n{% block material %}{{ material.text }}{% endblock %}\n";
    let codebook = Arc::new(Codebook::of_text("mood", text).unwrap());
    RunContext {
        codebook,
        run: "r".to_owned(),
        rater: "m".to_owned(),
        temperature: None,
        majority: None,
        refreshing_since: None,
    }
}

fn request() -> Request {
    let part = Part { text: "All of them?".to_owned(), cache_mark: false };
    Request {
        model: "m".to_owned(),
        system: None,
        turns: vec![Turn { role: Role::User, parts: vec![part] }],
        schema: AnswerSchema { name: "a".to_owned(), json: json!({}) },
        temperature: None,
        max_output_tokens: None,
        sample: 0,
    }
}

const PAID: Paid = Paid {
    usage: Some(Usage { input: 1_001, cached_input: 17, cache_write: 0, output: 333, reasoning: 332 }),
    cost_usd: Some(0.01),
    attempts: 2,
    latency_ms: 40,
    by_this_run: true,
};

fn response(text: String, end: End) -> Response {
    Response { text, end, usage: PAID.usage, model: None }
}

fn text(entries: impl Iterator<Item = u32>) -> String {
    json!({ "answers": entries.map(|unit| json!({ "unit": unit, "why": "so" })).collect::<Vec<_>>() }).to_string()
}

/// What is said in the last turn of a step's request.
fn last_words(step: &Step) -> String {
    step.request.turns.last().unwrap().parts.iter().map(|part| part.text.as_str()).collect()
}

proptest! {
    #[test]
    fn a_chain_ends_settles_every_prompt_and_loses_no_token(
        size in 1usize..40,
        moods in proptest::collection::vec((0u8..8, any::<u64>()), 1..200),
    ) {
        let context = context();
        let mut chain = Chain::new(&context, (0..size as u32).map(|at| 7 * at + 2).collect(), request());
        let mut steps = 0;
        let mut seen = Vec::new();
        while let Some(step) = chain.next() {
            prop_assert!(steps <= 4 * size, "it goes on and on");
            prop_assert!(!step.members.is_empty() && !seen.contains(&step.request));
            seen.push(step.request.clone());
            let (mood, chance) = moods[steps % moods.len()];
            let numbers: Vec<u32> = step.members.iter().map(|member| chain.numbers[*member]).collect();
            let some = numbers.iter().enumerate().filter(|(at, _)| chance >> (at % 64) & 1 == 1).map(|(_, n)| *n);
            let cut = |text: String| text.chars().take((chance as usize) % (text.len() + 1)).collect::<String>();
            let answer = match mood {
                0..=2 => Ok(response(text(some), End::Stop)),
                3 | 4 => Ok(response(cut(text(numbers.iter().copied())), End::Length)),
                5 => Ok(response("no".to_owned(), End::Stop)),
                6 => Ok(response(text(numbers.iter().copied()), End::Stop)),
                _ if chance % 3 == 0 => Ok(response(String::new(), End::Refusal("no".to_owned()))),
                _ => Err("a page of HTML".to_owned()),
            };
            chain.answered(steps, step, PAID, answer);
            steps += 1;
        }
        let verdicts: Vec<Verdict> = chain.into_verdicts().map(|verdict| verdict.unwrap()).collect();
        prop_assert_eq!(verdicts.len(), size);
        prop_assert!(verdicts.iter().all(|verdict| verdict.status.is_answered() == verdict.answer.is_some()));
        prop_assert!(verdicts.iter().all(|verdict| verdict.answer.is_some() || verdict.detail.is_some()));
        let paid: Vec<Paid> = verdicts.into_iter().flat_map(|verdict| verdict.paid).collect();
        let usage: Usage = paid.iter().map(|paid| paid.usage.unwrap()).sum();
        prop_assert_eq!(usage, (0..steps).map(|_| PAID.usage.unwrap()).sum());
        prop_assert_eq!(paid.iter().map(|paid| paid.attempts).sum::<u32>(), 2 * steps as u32);
        let cost: f64 = paid.iter().map(|paid| paid.cost_usd.unwrap()).sum();
        prop_assert!((cost - 0.01 * steps as f64).abs() < 1e-12);
    }
}

#[test]
fn a_cut_answer_leads_to_halves_and_they_ask_for_nothing_else() {
    let context = context();
    let mut chain = Chain::new(&context, vec![1, 3, 5, 7, 9], request());
    let first = chain.next().unwrap();
    chain.answered(0, first, PAID, Ok(response("{\"answers\": [".to_owned(), End::Length)));
    let halves: Vec<Step> = std::iter::from_fn(|| chain.next()).collect();
    let asked: Vec<&[usize]> = halves.iter().map(|step| step.members.as_slice()).collect();
    assert_eq!(asked, [&[0, 1, 2][..], &[3, 4]]);
    assert!(last_words(&halves[1]).ends_with("Answer now for events 7, 9 and for no other, in the same form."));
    assert!(last_words(&halves[1]).starts_with("All of them?\n\n"), "it begins as the first request");
}

#[test]
fn what_could_not_be_used_twice_says_both_reasons() {
    let context = context();
    let mut chain = Chain::new(&context, vec![1, 3], request());
    let first = chain.next().unwrap();
    chain.answered(0, first, PAID, Ok(response(text([1, 8].into_iter()), End::Stop)));
    let second = chain.next().unwrap();
    assert_eq!((second.request.turns.len(), second.members.as_slice()), (3, &[1][..]));
    chain.answered(1, second, PAID, Ok(response("hm".to_owned(), End::Stop)));
    assert!(chain.next().is_none());
    assert_eq!(chain.troubled().collect::<Vec<_>>(), [1]);
    let verdicts: Vec<Verdict> = chain.into_verdicts().flatten().collect();
    assert_eq!((verdicts[0].status, verdicts[1].status), (Status::Repaired, Status::Invalid));
    let both = "there is no entry for it; there is also an entry for `unit` 8; asked again: there is no JSON object in the answer";
    assert_eq!(verdicts[1].detail.as_deref(), Some(both));
    assert_eq!((verdicts[0].paid.len(), verdicts[1].paid.len()), (1, 2));
}
