//! Which beginnings of prompts the provider has read: who shall go first, and who waits for it.
//!
//! Providers charge little for a prompt's beginning that an earlier prompt had too, once the answer to that one has begun. So of all
//! requests that begin alike one goes first, and the others wait until it is answered, but only as long as it is about to teach the
//! provider something that they share: at least one step of 128 tokens more than what is known already. Requests are offered the longest first, so
//! that the first one of a session teaches nearly all that the rest of it needs.

use crate::llm::{PrefixCache, Request};
use std::collections::HashMap;
use std::hash::Hasher;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Providers count what they share in steps of 128 tokens; in bytes, so.
const STEP: usize = 448;
/// Below 1,024 tokens nothing is kept anywhere.
const LEAST: usize = 8 * STEP;
/// Providers forget what was not asked for in five minutes.
const LIFETIME: Duration = Duration::from_secs(300);
/// Nobody waits longer for another request: it may have met a limit that has nothing to do with this one.
const PATIENCE: Duration = Duration::from_secs(60);
/// Beginnings in one generation. Two are kept, which bounds memory however long a run is.
const GENERATION: usize = 100_000;

/// The beginnings of a request that a provider could know, from the shortest to the longest, as fingerprints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beginnings {
    /// Those that the provider looks for.
    read: Vec<u64>,
    /// Those that it keeps once the request is answered.
    kept: Vec<u64>,
}

impl Beginnings {
    /// The beginnings of `request` at a provider that keeps them in this way.
    pub fn of(request: &Request, cache: PrefixCache) -> Beginnings {
        let mut beginnings = Beginnings::default();
        // A fixed state: equal texts have equal fingerprints in all threads.
        let mut hasher = std::hash::DefaultHasher::new();
        let system = request.system.as_deref().map(|text| (text, false));
        let parts = request.parts().map(|part| (part.text.as_str(), part.cache_mark));
        if cache == PrefixCache::Marked {
            // There the schema stands before all else.
            hasher.write(request.schema.json.to_string().as_bytes());
        }
        let mut length = 0;
        let mut within_step = 0;
        for (text, marked) in system.into_iter().chain(parts) {
            match cache {
                PrefixCache::None => return beginnings,
                PrefixCache::Marked => {
                    hasher.write(text.as_bytes());
                    length += text.len();
                    if length >= LEAST {
                        beginnings.read.push(hasher.finish());
                        if marked {
                            beginnings.kept.push(hasher.finish());
                        }
                    }
                }
                PrefixCache::Automatic => {
                    let mut rest = text.as_bytes();
                    while rest.len() >= STEP - within_step {
                        let (step, after) = rest.split_at(STEP - within_step);
                        hasher.write(step);
                        rest = after;
                        length += STEP;
                        within_step = 0;
                        if length >= LEAST {
                            beginnings.read.push(hasher.finish());
                        }
                    }
                    hasher.write(rest);
                    within_step += rest.len();
                }
            }
        }
        if cache == PrefixCache::Automatic {
            beginnings.kept.clone_from(&beginnings.read);
        }
        beginnings
    }
}

/// What a provider is thought to know.
#[derive(Debug, Default)]
pub struct Warmth {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    young: HashMap<u64, Known>,
    old: HashMap<u64, Known>,
}

/// A beginning that was sent.
#[derive(Debug, Clone)]
struct Known {
    /// Ends when the request that sends it first is answered; `None` once it is.
    leader: Option<CancellationToken>,
    at: Instant,
}

/// A request on its way that others may wait for.
#[derive(Debug)]
pub struct Lead<'w> {
    warmth: &'w Warmth,
    done: CancellationToken,
    teaches: Vec<u64>,
    answered: bool,
}

impl Warmth {
    /// Waits while a request under way teaches the provider more of these beginnings than it knows. Then this one may go, and others wait
    /// for it until the lead is dropped.
    pub async fn enter(&self, beginnings: &Beginnings) -> Lead<'_> {
        let patience = Instant::now() + PATIENCE;
        loop {
            let leader = {
                let mut state = self.state();
                let deepest = beginnings.read.iter().rev().find_map(|beginning| state.get(*beginning));
                match deepest.and_then(|known| known.leader.clone()) {
                    Some(leader) if Instant::now() < patience => leader,
                    _ => {
                        let done = CancellationToken::new();
                        let known = Known { leader: Some(done.clone()), at: Instant::now() };
                        let unknown =
                            beginnings.kept.iter().copied().filter(|beginning| state.get(*beginning).is_none());
                        let teaches: Vec<u64> = unknown.collect();
                        teaches.iter().for_each(|beginning| state.put(*beginning, known.clone()));
                        return Lead { warmth: self, done, teaches, answered: false };
                    }
                }
            };
            drop(tokio::time::timeout_at(patience, leader.cancelled()).await);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics amid a change of the state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lead<'_> {
    /// The request was answered: the provider has read it.
    pub fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut state = self.warmth.state();
        for beginning in &self.teaches {
            match self.answered {
                true => state.put(*beginning, Known { leader: None, at: Instant::now() }),
                false => state.remove(*beginning),
            }
        }
        drop(state);
        self.done.cancel();
    }
}

impl State {
    fn get(&self, beginning: u64) -> Option<&Known> {
        let known = self.young.get(&beginning).or_else(|| self.old.get(&beginning))?;
        (known.leader.is_some() || known.at.elapsed() < LIFETIME).then_some(known)
    }

    fn put(&mut self, beginning: u64, known: Known) {
        self.young.insert(beginning, known);
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
    }

    fn remove(&mut self, beginning: u64) {
        self.young.remove(&beginning);
        self.old.remove(&beginning);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::{AnswerSchema, Part, Role, Turn};
    use serde_json::json;

    fn request(parts: &[&str]) -> Request {
        let part = |text: &&str| Part { text: (*text).to_owned(), cache_mark: true };
        let mut parts: Vec<Part> = parts.iter().map(part).collect();
        parts.last_mut().unwrap().cache_mark = false;
        Request {
            model: "m".to_owned(),
            system: None,
            turns: vec![Turn { role: Role::User, parts }],
            schema: AnswerSchema { name: "a".to_owned(), json: json!({}) },
            temperature: None,
            max_output_tokens: None,
            sample: 0,
        }
    }

    fn automatic(parts: &[&str]) -> Beginnings {
        Beginnings::of(&request(parts), PrefixCache::Automatic)
    }

    /// Whether a request may go at once.
    async fn goes<'w>(warmth: &'w Warmth, beginnings: &Beginnings) -> Option<Lead<'w>> {
        tokio::time::timeout(Duration::from_secs(1), warmth.enter(beginnings)).await.ok()
    }

    #[test]
    fn texts_begin_alike_as_far_as_their_steps_are_the_same_however_they_are_parted() {
        let text = "abcdefg".repeat(2_000);
        let (a, b) = (automatic(&[&text]), automatic(&[&text[..1_000], &text[1_000..5_001], &text[5_001..]]));
        assert_eq!(a, b);
        assert_eq!(a.read.len(), text.len() / STEP - 7);
        let other = automatic(&[&text[..6_000], &"x".repeat(5_000)]);
        let common = a.read.iter().zip(&other.read).take_while(|(a, b)| a == b).count();
        assert_eq!(common, 6_000 / STEP - 7);
        assert_eq!(automatic(&["short"]), Beginnings::default());
        assert_eq!(Beginnings::of(&request(&[&text]), PrefixCache::None), Beginnings::default());
    }

    #[test]
    fn marked_beginnings_end_with_parts() {
        let long = "x".repeat(4_000);
        let beginnings = |parts: &[&str]| Beginnings::of(&request(parts), PrefixCache::Marked);
        let a = beginnings(&["head", &long, "more", "own"]);
        assert_eq!((a.read.len(), a.kept.len()), (3, 2));
        let b = beginnings(&["head", &long, "other"]);
        assert_eq!((a.read[0], a.kept[0]), (b.read[0], b.kept[0]));
        let mut schema = request(&["head", &long, "other"]);
        schema.schema.json = json!({ "type": "object" });
        assert_ne!(Beginnings::of(&schema, PrefixCache::Marked).read[0], b.read[0]);
    }

    #[tokio::test(start_paused = true)]
    async fn of_requests_that_begin_alike_one_goes_first() {
        let text = "y".repeat(20_000);
        let warmth = Warmth::default();
        let (long, short) = (automatic(&[&text, "a"]), automatic(&[&text[..9_000], "b"]));
        let lead = goes(&warmth, &long).await.unwrap();
        assert!(goes(&warmth, &short).await.is_none() && goes(&warmth, &long).await.is_none());
        assert!(
            goes(&warmth, &automatic(&["z".repeat(9_000).as_str()])).await.is_some(),
            "another text waits for nobody"
        );
        assert!(goes(&warmth, &automatic(&["little"])).await.is_some());
        lead.answered();
        let (first, second) = (goes(&warmth, &short).await, goes(&warmth, &long).await);
        assert!(first.is_some() && second.is_some(), "all of it is known, so all may go at once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_fails_makes_way_for_the_next() {
        let text = "y".repeat(20_000);
        let warmth = Warmth::default();
        drop(goes(&warmth, &automatic(&[&text])).await.unwrap());
        let lead = goes(&warmth, &automatic(&[&text])).await.unwrap();
        assert!(goes(&warmth, &automatic(&[&text])).await.is_none(), "the next one leads");
        let beginnings = automatic(&[&text]);
        let (waited, ()) = tokio::join!(warmth.enter(&beginnings), async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            lead.answered();
        });
        waited.answered();
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_more_to_teach_leads_those_that_share_it() {
        let head = "h".repeat(9_000);
        let warmth = Warmth::default();
        goes(&warmth, &automatic(&[&head, "a"])).await.unwrap().answered();
        let (b, c) = (head.clone() + &"b".repeat(9_000), head + &"c".repeat(9_000));
        let leads = [goes(&warmth, &automatic(&[&b])).await, goes(&warmth, &automatic(&[&c])).await];
        assert!(leads.iter().all(Option::is_some), "what both share is known");
        assert!(goes(&warmth, &automatic(&[&b, "more"])).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_is_forgotten_and_nobody_waits_for_ever() {
        let text = automatic(&["y".repeat(20_000).as_str()]);
        let warmth = Warmth::default();
        goes(&warmth, &text).await.unwrap().answered();
        tokio::time::sleep(LIFETIME).await;
        let lead = goes(&warmth, &text).await.unwrap();
        assert!(goes(&warmth, &text).await.is_none(), "it is taught anew");
        let before = Instant::now();
        drop(warmth.enter(&text).await);
        assert!(before.elapsed() >= PATIENCE);
        drop(lead);
    }
}
