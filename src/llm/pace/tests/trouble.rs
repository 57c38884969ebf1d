//! Tests of the pacer with servers that ask for pauses, have too much to do or are gone.

use super::*;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::sync::atomic::{AtomicUsize, Ordering};

fn too_fast(seconds: u64) -> Outcome<'static> {
    Outcome::TooFast { after: Some(Duration::from_secs(seconds)), reason: "HTTP 429" }
}

/// Asks until it is answered, which a server does from this time on; gives when that was, and how often the server refused before.
async fn ask_until_answered(pacer: &Pacer, started: Instant, closed: Duration) -> (Duration, usize) {
    let mut refused = 0;
    loop {
        let permit = admit(pacer, 100).await;
        let elapsed = started.elapsed();
        if elapsed >= closed {
            permit.end(Outcome::Answered);
            return (elapsed, refused);
        }
        assert!(permit.is_look(), "at {elapsed:?}");
        permit.end(Outcome::TooFast { after: Some(closed - elapsed), reason: "HTTP 429" });
        refused += 1;
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_everyone_and_those_who_were_waiting_already() {
    let pacer = pacer(2, Some(60), None);
    let permits = [admit(&pacer, 0).await, admit(&pacer, 0).await];
    let started = Instant::now();
    let mut waiting = JoinSet::new();
    for _ in 0..10 {
        let pacer = pacer.clone();
        waiting.spawn(async move { ask_until_answered(&pacer, started, Duration::from_secs(31)).await });
    }
    sleep(Duration::from_secs(1)).await;
    let [one, other] = permits;
    one.end(too_fast(30));
    other.end(too_fast(5));
    let went = waiting.join_all().await;
    assert!(went.iter().all(|(went, _)| *went >= Duration::from_secs(31)), "{went:?}");
    // All but a few looks, that is, after 3, 9 and 21 seconds of it.
    assert_eq!(went.iter().map(|(_, refused)| refused).sum::<usize>(), 3);
}

#[tokio::test(start_paused = true)]
async fn no_pause_freezes_a_run() {
    for (asked, held) in [(89, 89.0), (86_400, 120.0)] {
        let pacer = pacer(64, None, None);
        let mut permits = Vec::new();
        for _ in 0..8 {
            permits.push(admit(&pacer, 100).await);
        }
        let started = Instant::now();
        permits.into_iter().for_each(|permit| permit.end(too_fast(asked)));
        let (went, looks) = ask_until_answered(&pacer, started, Duration::from_secs_f64(held)).await;
        let waited = went.as_secs_f64();
        assert!((held..held + 0.1).contains(&waited) && (4..=5).contains(&looks), "{waited}, {looks}");
        // What was proven is used again at once, and the growth goes on.
        assert!((1..=4).contains(&pacer.concurrency()), "{}", pacer.concurrency());
        let mut tasks = JoinSet::new();
        for _ in 0..64 {
            let pacer = pacer.clone();
            tasks.spawn(async move {
                for _ in 0..30 {
                    let permit = admit(&pacer, 100).await;
                    sleep(Duration::from_secs(1)).await;
                    permit.end(Outcome::Answered);
                }
            });
        }
        sleep(Duration::from_secs(30)).await;
        assert_eq!(pacer.concurrency(), 64);
        tasks.abort_all();
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_concerns_one_request_alone_does_not_hold_the_others() {
    let pacer = pacer(64, None, None);
    let mut asked = 0;
    for _ in 0..1_000 {
        let permit = admit(&pacer, 1_000).await;
        sleep(Duration::from_millis(100)).await;
        asked += 1;
        permit.end(if asked % 100 == 50 { too_fast(89) } else { Outcome::Answered });
    }
    let started = Instant::now();
    wait(&pacer, 1_000).await;
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn a_pause_for_a_large_request_does_not_hold_small_ones() {
    let pacer = pacer(64, None, None);
    for _ in 0..20 {
        wait(&pacer, 1_000).await;
    }
    for _ in 0..5 {
        admit(&pacer, 20_000).await.end(too_fast(89));
        assert!(wait(&pacer, 1_000).await <= 1.001);
        assert!(wait(&pacer, 1_000).await <= 0.001);
    }
    assert_eq!(pacer.concurrency(), 8);
    // Unless they meet the same.
    let (started, pause) = (Instant::now(), Duration::from_secs(89));
    admit(&pacer, 1_000).await.end(too_fast(89));
    assert!(ask_until_answered(&pacer, started, pause).await.0 >= pause);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_broken_or_busy_holds_nobody() {
    let pacer = pacer(64, None, None);
    let permits = [admit(&pacer, 0).await, admit(&pacer, 0).await];
    let [broken, busy] = permits;
    broken.end(Outcome::Failed("HTTP 503"));
    assert_eq!(pacer.concurrency(), 8);
    assert_eq!(wait(&pacer, 0).await, 0.0);
    sleep(Duration::from_secs(1)).await;
    busy.end(Outcome::Overloaded("HTTP 529"));
    assert_eq!(pacer.concurrency(), 1);
    assert_eq!(wait(&pacer, 0).await, 0.0);
}

#[tokio::test(start_paused = true)]
async fn an_outage_lets_single_requests_through_until_one_is_answered() {
    let pacer = pacer(64, None, None);
    for _ in 0..10 {
        admit(&pacer, 0).await.end(Outcome::Failed("HTTP 502"));
    }
    assert!(pacer.is_outage());
    let started = Instant::now();
    let look = admit(&pacer, 0).await;
    assert_eq!(started.elapsed().as_secs(), 1);
    assert!(timeout(Duration::from_secs(300), pacer.admit(size(0))).await.is_err(), "one at a time");
    // A look that is given up says nothing; the next one can follow at once.
    drop(look);
    let look = admit(&pacer, 0).await;
    look.end(Outcome::Failed("HTTP 503"));
    let look = admit(&pacer, 0).await;
    look.end(Outcome::Answered);
    assert!(!pacer.is_outage());
    assert_eq!(wait(&pacer, 0).await, 0.0);
    assert_eq!(pacer.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_lasts_is_told_to_all_who_wait() {
    let pacer = pacer(64, None, None);
    let mut waiting = JoinSet::new();
    for _ in 0..50 {
        let pacer = pacer.clone();
        waiting.spawn(async move {
            loop {
                match pacer.admit(size(0)).await {
                    Ok(permit) => permit.end(Outcome::Failed("HTTP 502")),
                    Err(outage) => return outage.to_string(),
                }
            }
        });
    }
    let started = Instant::now();
    let told = waiting.join_all().await;
    assert_eq!(started.elapsed().as_secs(), 600);
    assert!(told.iter().all(|told| told == "no request was answered for 10 min; the last time: HTTP 502"), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn something_may_always_be_in_flight() {
    let pacer = pacer(0, None, None);
    for _ in 0..5 {
        let permit = admit(&pacer, 0).await;
        sleep(Duration::from_secs(1)).await;
        permit.end(Outcome::TooFast { after: None, reason: "HTTP 429" });
    }
    assert_eq!(pacer.concurrency(), 1);
}

/// A server that answers so many requests at once, each after 1 to 3 s, and refuses the others.
async fn ask_a_server_with_places(
    pacer: &Pacer,
    places: &AtomicUsize,
    taken: &AtomicUsize,
    random: &mut ChaCha8Rng,
) -> bool {
    let permit = admit(pacer, 1_000).await;
    sleep(Duration::from_millis(30)).await;
    if taken.fetch_add(1, Ordering::SeqCst) >= places.load(Ordering::SeqCst) {
        taken.fetch_sub(1, Ordering::SeqCst);
        sleep(Duration::from_millis(30)).await;
        permit.end(Outcome::Overloaded("HTTP 529"));
        let backoff = random.random_range(0..2_000);
        sleep(Duration::from_millis(backoff)).await;
        return false;
    }
    let latency = random.random_range(1_000..3_000);
    sleep(Duration::from_millis(latency)).await;
    taken.fetch_sub(1, Ordering::SeqCst);
    permit.end(Outcome::Answered);
    true
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_so_many_at_once_is_used_well_and_so_are_places_that_come_later() {
    let pacer = pacer(400, None, None);
    let places = Arc::new(AtomicUsize::new(40));
    let taken = Arc::new(AtomicUsize::new(0));
    let counts: Arc<[[AtomicUsize; 2]; 3]> = Arc::default();
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for number in 0..400 {
        let (pacer, places, taken, counts) = (pacer.clone(), places.clone(), taken.clone(), counts.clone());
        let mut random = ChaCha8Rng::seed_from_u64(number);
        tasks.spawn(async move {
            loop {
                let answered = ask_a_server_with_places(&pacer, &places, &taken, &mut random).await;
                let period = match started.elapsed().as_secs() {
                    0..300 => 0,
                    300..330 => continue,
                    330..360 => 1,
                    _ => 2,
                };
                counts[period][usize::from(answered)].fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    sleep(Duration::from_secs(300)).await;
    places.store(120, Ordering::SeqCst);
    sleep(Duration::from_secs(300)).await;
    tasks.abort_all();
    // Each place answers a request in 2.03 s.
    for (period, seconds, places) in [(0, 300.0, 40.0), (1, 30.0, 120.0), (2, 240.0, 120.0)] {
        let [refused, answered] = [0, 1].map(|at| counts[period][at].load(Ordering::SeqCst) as f64);
        let used = answered / (seconds * places / 2.03);
        assert!(used > 0.8 && refused < 0.1 * answered, "{period}: {used:.3}, {refused} to {answered}");
    }
}

#[tokio::test]
async fn an_admission_costs_little() {
    let limits =
        Limits { requests_per_minute: Some(100_000_000), tokens_per_minute: Some(3_000_000_000), ..unlimited(64) };
    let pacer = knowing_all(limits);
    let told = Told { limit: Some(200_000_000), left: Some(199_000_000), reset: None };
    let told = RateLimits { requests: told, ..RateLimits::default() };
    let started = std::time::Instant::now();
    for _ in 0..20_000 {
        let permit = admit(&pacer, 500).await;
        permit.observe(&told);
        permit.settle(&usage(600));
        permit.end(Outcome::Answered);
    }
    let mean = started.elapsed() / 20_000;
    println!("{mean:?} each");
    // Some microseconds, and much more than that on a machine with much else to do and without optimisation.
    assert!(mean < Duration::from_millis(1), "{mean:?}");
}
