//! What a provider bills that keeps the beginnings of prompts: 1,024 tokens at least, in steps of 128, known from the first answer on.

use crate::context::Context;
use crate::fake::{Fake, Provider};
use regex::Regex;
use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

const BYTES_PER_TOKEN: usize = 4;
const STEP: usize = 128;
const LEAST: usize = 1_024;

/// A hash of each beginning that a provider would keep.
fn beginnings(text: &str) -> Vec<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    text.as_bytes().chunks_exact(STEP * BYTES_PER_TOKEN).map(|chunk| hasher.update(chunk).finalize()).collect()
}

/// Full-price tokens of a text, where these beginnings are known.
fn full_price(text: &str, known: &HashSet<blake3::Hash>) -> usize {
    let shared = STEP * beginnings(text).iter().take_while(|beginning| known.contains(beginning)).count();
    text.len() / BYTES_PER_TOKEN - if shared >= LEAST { shared } else { 0 }
}

/// Full-price tokens of texts that are asked one after the other.
fn in_turn<'t>(texts: impl IntoIterator<Item = &'t String>) -> usize {
    let mut known = HashSet::new();
    let mut sum = 0;
    for text in texts {
        sum += full_price(text, &known);
        known.extend(beginnings(text));
    }
    sum
}

#[test]
fn shared_beginnings_are_billed_once() {
    let Bills { billed, best, naive } = bills("gold/sessions");
    assert!((naive - billed) as f64 >= 0.95 * (naive - best) as f64, "{billed}, at best {best}, of {naive}");
}

#[test]
fn of_real_sessions_the_larger_part_is_read_once() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/sessions/claude");
    if !shared.exists() {
        println!("skipped: there are no real sessions beside the project");
        return;
    }
    let Bills { billed, best, naive } = bills(&shared.display().to_string());
    assert!(billed as f64 <= 0.4 * naive as f64, "{billed} of {naive}");
    assert!((naive - billed) as f64 >= 0.95 * (naive - best) as f64, "{billed}, at best {best}, of {naive}");
}

/// Full-price tokens of the shipped tasks over some sessions.
struct Bills {
    /// As they were asked.
    billed: usize,
    /// In the best order.
    best: usize,
    /// With the codebook first, task by task and unit by unit.
    naive: usize,
}

fn bills(sessions: &str) -> Bills {
    let context = Context::empty();
    context.run(&["init"]).with(0);
    let delay = Duration::from_millis(40);
    let fake = Fake::plan(|_| crate::fake::Reply::Answer).delay(delay).start();
    let url = fake.base_url(Provider::OpenAi);
    let model = ["annotate", "--model", "openai/some-model", "--base-url", &url, "--quiet", "--sessions", sessions];
    context.run(&model).with(0);
    let seen = fake.seen();
    assert!(seen.len() > 500, "{}", seen.len());

    // As it was billed: what had been answered when a request came was known.
    let (mut known, mut answered, mut billed) = (HashSet::new(), 0, 0);
    for request in &seen {
        while seen[answered].asked.at + delay < request.asked.at {
            known.extend(beginnings(&seen[answered].asked.prompt));
            answered += 1;
        }
        billed += full_price(&request.asked.prompt, &known);
    }

    // No order of these prompts bills less than one in which each comes after those that it shares most with.
    let mut texts: Vec<String> = seen.iter().map(|request| request.asked.prompt.clone()).collect();
    texts.sort();
    let best = in_turn(&texts);
    // The codebook first, then the material, task by task and unit by unit.
    let material = Regex::new(r"(?s)Below is material recorded.*?<<<end of transcript [0-9a-f]+>>>").unwrap();
    let mut naive: Vec<(String, usize, String)> = seen
        .iter()
        .enumerate()
        .map(|(at, request)| {
            let text = &request.asked.prompt;
            let found = material.find(text).unwrap_or_else(|| panic!("no material: {text}"));
            let codebook = format!("{}{}", &text[..found.start()], &text[found.end()..]);
            let task = request.asked.body["response_format"]["json_schema"]["name"].as_str().unwrap().to_owned();
            (task, at, codebook + found.as_str())
        })
        .collect();
    naive.sort();
    let naive = in_turn(naive.iter().map(|(_, _, text)| text));
    println!("{} requests: full price {billed}, best order {best}, codebook first {naive}", seen.len());
    Bills { billed, best, naive }
}
