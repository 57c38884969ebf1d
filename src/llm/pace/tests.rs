//! Tests of the pacer on a paused clock: minutes pass in no time.

use super::super::Told;
use super::*;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const TEN_MINUTES: Duration = Duration::from_secs(600);

/// No limit but the number in flight.
fn unlimited(concurrency: usize) -> Limits {
    Limits {
        concurrency,
        requests_per_minute: None,
        tokens_per_minute: None,
        input_tokens_per_minute: None,
        output_tokens_per_minute: None,
        patience: TEN_MINUTES,
    }
}

/// A pacer that expects no output, so that a size is what counts.
fn knowing_all(limits: Limits) -> Pacer {
    let known = Snapshot { output: 0, ..Snapshot::default() };
    Pacer::knowing(limits, Accounting::AsUsed, known)
}

fn pacer(concurrency: usize, requests: Option<u64>, tokens: Option<u64>) -> Pacer {
    knowing_all(Limits { requests_per_minute: requests, tokens_per_minute: tokens, ..unlimited(concurrency) })
}

fn size(input: u64) -> Size {
    Size { input, output_limit: None }
}

fn usage(input: u64) -> Usage {
    Usage { input, ..Usage::default() }
}

async fn admit(pacer: &Pacer, tokens: u64) -> Permit {
    pacer.admit(size(tokens)).await.unwrap()
}

fn too_fast(seconds: u64) -> Outcome<'static> {
    Outcome::TooFast { after: Some(Duration::from_secs(seconds)), reason: "HTTP 429" }
}

/// Lets requests of this size go one after the other, answered at once, for this long; gives how many went.
async fn count(pacer: &Pacer, tokens: u64, during: Duration) -> u64 {
    let mut went = 0;
    let requests = async {
        loop {
            admit(pacer, tokens).await.end(Outcome::Answered);
            went += 1;
        }
    };
    assert!(timeout(during, requests).await.is_err());
    went
}

/// How long a request has to wait.
async fn wait(pacer: &Pacer, tokens: u64) -> f64 {
    let started = Instant::now();
    admit(pacer, tokens).await.end(Outcome::Answered);
    started.elapsed().as_secs_f64()
}

#[tokio::test(start_paused = true)]
async fn requests_keep_to_the_limit_a_minute_within_three_percent() {
    for limit in [3, 30, 600, 7_919] {
        let went = count(&pacer(64, Some(limit), None), 1_000, TEN_MINUTES).await;
        let expected = limit * 10;
        assert!(went.abs_diff(expected) * 100 <= expected * 3, "{went} of {expected}");
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_of_each_kind_keep_to_the_limit_a_minute_within_three_percent() {
    let output = 300;
    let known = Snapshot { output, ..Snapshot::default() };
    let none = unlimited(64);
    for (limits, counted) in [
        (Limits { tokens_per_minute: Some(30_000), ..none }, 700 + output),
        (Limits { input_tokens_per_minute: Some(30_000), ..none }, 700),
        (Limits { output_tokens_per_minute: Some(30_000), ..none }, output),
        (Limits { tokens_per_minute: Some(110_000), output_tokens_per_minute: Some(30_000), ..none }, output),
    ] {
        let went = count(&Pacer::knowing(limits, Accounting::AsUsed, known), 700, TEN_MINUTES).await * counted;
        assert!(went.abs_diff(300_000) <= 9_000, "{limits:?}: {went}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_tasks_at_once_keep_to_the_limit_and_to_the_concurrency() {
    let pacer = pacer(7, Some(600), None);
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let pacer = pacer.clone();
        tasks.spawn(async move {
            let mut went = 0;
            let ask = async {
                loop {
                    let permit = admit(&pacer, 10).await;
                    assert!(pacer.in_flight() <= 7);
                    sleep(Duration::from_millis(400)).await;
                    permit.end(Outcome::Answered);
                    went += 1;
                }
            };
            assert!(timeout(TEN_MINUTES, ask).await.is_err());
            went
        });
    }
    let went: u64 = tasks.join_all().await.into_iter().sum();
    assert!((5_820..=6_180).contains(&went), "{went}");
    assert_eq!(pacer.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_large_request_among_small_ones_waits_only_for_its_own_tokens() {
    let pacer = pacer(64, None, Some(6_000));
    let mut small = JoinSet::new();
    for _ in 0..4 {
        let pacer = pacer.clone();
        small.spawn(async move { count(&pacer, 100, TEN_MINUTES).await });
    }
    sleep(Duration::from_secs(60)).await;
    let waited = wait(&pacer, 1_000).await;
    assert!((9.0..=15.0).contains(&waited), "{waited}");
    let went: u64 = small.join_all().await.into_iter().sum();
    assert!(went > 550, "{went}");
}

#[tokio::test(start_paused = true)]
async fn a_request_beyond_a_whole_minute_pays_for_a_minute_and_goes() {
    let pacer = pacer(64, None, Some(6_000));
    let waited = wait(&pacer, 50_000).await;
    assert!((53.0..=60.0).contains(&waited), "{waited}");
    // It was all of its minute.
    let waited = wait(&pacer, 100).await;
    assert!((60.0..=60.5).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_everyone_and_those_who_were_waiting_already() {
    let pacer = pacer(2, Some(60), None);
    let permits = [admit(&pacer, 0).await, admit(&pacer, 0).await];
    let started = Instant::now();
    let mut waiting = JoinSet::new();
    for _ in 0..10 {
        let pacer = pacer.clone();
        waiting.spawn(async move {
            admit(&pacer, 0).await.end(Outcome::Answered);
            started.elapsed()
        });
    }
    sleep(Duration::from_secs(1)).await;
    let [one, other] = permits;
    one.end(too_fast(30));
    other.end(too_fast(5));
    let went = waiting.join_all().await;
    assert!(went.iter().all(|went| *went >= Duration::from_secs(31)), "{went:?}");
}

#[tokio::test(start_paused = true)]
async fn no_pause_freezes_a_run() {
    for (asked, held) in [(89, 89.0), (86_400, 120.0)] {
        let pacer = pacer(64, None, None);
        let mut permits = Vec::new();
        for _ in 0..8 {
            permits.push(admit(&pacer, 100).await);
        }
        permits.into_iter().for_each(|permit| permit.end(too_fast(asked)));
        let waited = wait(&pacer, 100).await;
        assert!((held..held + 0.1).contains(&waited), "{waited}");
        // What was proven is used again at once, and the growth goes on.
        assert_eq!(pacer.concurrency(), 4);
        let mut tasks = JoinSet::new();
        for _ in 0..64 {
            let pacer = pacer.clone();
            tasks.spawn(async move {
                for _ in 0..20 {
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
    admit(&pacer, 1_000).await.end(too_fast(89));
    assert!(wait(&pacer, 1_000).await >= 89.0);
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
async fn what_was_estimated_too_low_is_paid_later() {
    let pacer = pacer(64, None, Some(6_000));
    let permit = admit(&pacer, 600).await;
    permit.settle(&usage(3_600));
    permit.end(Outcome::Answered);
    // 3,000 are owed; and the next one is reckoned to be larger as well.
    let waited = wait(&pacer, 1).await;
    assert!((30.0..=31.0).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn what_was_estimated_too_high_is_given_back() {
    let pacer = pacer(64, None, Some(6_000));
    let mut went = 0;
    let requests = async {
        loop {
            let permit = admit(&pacer, 600).await;
            permit.settle(&usage(200));
            permit.end(Outcome::Answered);
            went += 200;
        }
    };
    assert!(timeout(TEN_MINUTES, requests).await.is_err());
    assert!((57_600..=60_400).contains(&went), "{went}");
    let known = pacer.snapshot();
    assert!((0.33..0.34).contains(&known.input) && known.answers > 200, "{known:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_count_of_tokens_freezes_nothing() {
    let pacer = pacer(64, None, Some(6_000));
    let permit = admit(&pacer, 1).await;
    permit.settle(&usage(u64::MAX / 2));
    permit.settle(&usage(u64::MAX / 2));
    drop(permit);
    let waited = wait(&pacer, 100).await;
    assert!((54.0..=61.0).contains(&waited), "{waited}");
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

#[tokio::test(start_paused = true)]
async fn an_admission_that_is_given_up_gives_its_place_back() {
    let pacer = pacer(1, None, Some(6_000));
    admit(&pacer, 600).await.end(Outcome::Answered);
    assert!(timeout(Duration::from_secs(1), pacer.admit(size(6_000))).await.is_err());
    assert_eq!(pacer.in_flight(), 0);
    assert!(wait(&pacer, 10).await < 60.0);
}

fn told(limit: u64, left: u64) -> RateLimits {
    RateLimits { tokens: Told { limit: Some(limit), left: Some(left), reset: None }, ..RateLimits::default() }
}

#[tokio::test(start_paused = true)]
async fn limits_that_nobody_set_are_learnt_from_the_server() {
    let pacer = pacer(64, None, None);
    let permit = admit(&pacer, 1_000).await;
    let requests = Told { limit: Some(600), left: Some(599), reset: None };
    permit.observe(&RateLimits { requests, ..RateLimits::default() });
    drop(permit);
    let went = count(&pacer, 1_000, TEN_MINUTES).await;
    assert!((5_940..=6_180).contains(&went), "{went}");
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_a_day_is_no_pace() {
    let pacer = pacer(64, None, None);
    let permit = admit(&pacer, 1_000).await;
    let minute = Told { limit: Some(60), left: Some(59), reset: Some(Duration::from_secs(1)) };
    let day = Told { limit: Some(60), left: Some(30), reset: Some(Duration::from_secs(43_200)) };
    permit.observe(&RateLimits { requests: minute, ..RateLimits::default() });
    assert!(count(&pacer, 0, Duration::from_secs(60)).await <= 66);
    permit.observe(&RateLimits { requests: day, ..RateLimits::default() });
    drop(permit);
    for _ in 0..1_000 {
        assert_eq!(wait(&pacer, 0).await, 0.0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_with_little_left_is_believed() {
    let pacer = pacer(64, None, Some(6_000));
    let permit = admit(&pacer, 10).await;
    permit.observe(&told(6_000, 0));
    drop(permit);
    let waited = wait(&pacer, 500).await;
    assert!((4.5..=5.5).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn what_was_left_is_corrected_for_what_has_happened_since() {
    let pacer = pacer(64, None, Some(6_000));
    let permit = admit(&pacer, 10).await;
    drop(admit(&pacer, 590).await);
    // 600 were left then; 590 have been spent since, and nothing has been refilled.
    permit.observe(&told(6_000, 600));
    let waited = wait(&pacer, 500).await;
    assert!((4.5..=5.5).contains(&waited), "{waited}");
    // Nothing was left half a minute ago: by now there is enough.
    let permit = admit(&pacer, 10).await;
    sleep(Duration::from_secs(30)).await;
    permit.observe(&told(6_000, 0));
    assert!(wait(&pacer, 100).await <= 0.001);
    // What an older request has been told is no news.
    let older = admit(&pacer, 10).await;
    let newer = admit(&pacer, 10).await;
    newer.observe(&told(6_000, 6_000));
    older.observe(&told(6_000, 0));
    assert!(wait(&pacer, 60).await <= 1.0);
}

#[tokio::test(start_paused = true)]
async fn estimates_that_are_too_high_are_corrected_by_the_server() {
    let pacer = pacer(64, None, None);
    let mut went = 0;
    let requests = async {
        loop {
            let permit = admit(&pacer, 300).await;
            sleep(Duration::from_millis(200)).await;
            permit.observe(&told(6_000, 5_900));
            permit.end(Outcome::Answered);
            went += 1;
        }
    };
    assert!(timeout(TEN_MINUTES, requests).await.is_err());
    // By the estimates alone 200 would go.
    assert!(went > 500, "{went}");
}

#[tokio::test(start_paused = true)]
async fn the_users_own_limit_is_never_exceeded() {
    let pacer = pacer(64, Some(60), Some(6_000));
    let mut went = 0;
    let requests = async {
        loop {
            let permit = admit(&pacer, 100).await;
            let requests = Told { limit: Some(10_000), left: Some(9_999), reset: None };
            permit.observe(&RateLimits { requests, ..told(60_000, 60_000) });
            permit.end(Outcome::Answered);
            went += 1;
        }
    };
    assert!(timeout(TEN_MINUTES, requests).await.is_err());
    assert!((582..=618).contains(&went), "{went}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_always_says_that_nothing_is_left_stops_nobody() {
    for limit in [3, 30, 6_000, 1_000_000] {
        let pacer = pacer(4, None, None);
        let mut went = 0;
        let requests = async {
            loop {
                let permit = admit(&pacer, limit / 10).await;
                sleep(Duration::from_millis(100)).await;
                let requests = Told { limit: Some(limit), left: Some(0), reset: None };
                permit.observe(&RateLimits { requests, ..told(limit, 0) });
                permit.end(Outcome::Answered);
                went += 1;
            }
        };
        assert!(timeout(TEN_MINUTES, requests).await.is_err());
        // A tenth of a minute's tokens each: ten a minute.
        assert!(went >= limit.min(10) * 9, "{limit}: {went}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_servers_behind_one_name_stop_nobody() {
    let pacer = pacer(4, None, None);
    let mut went = 0;
    let requests = async {
        loop {
            let permit = admit(&pacer, 100).await;
            sleep(Duration::from_millis(100)).await;
            let limit = if went % 2 == 0 { 6_000 } else { 12_000 };
            permit.observe(&told(limit, limit / 3));
            permit.end(Outcome::Answered);
            went += 1;
        }
    };
    assert!(timeout(TEN_MINUTES, requests).await.is_err());
    assert!((500..=1_400).contains(&went), "{went}");
}

#[tokio::test(start_paused = true)]
async fn limits_beyond_all_numbers_are_no_limits() {
    let pacer = pacer(4, Some(u64::MAX), Some(u64::MAX));
    assert_eq!(wait(&pacer, 10_000_000).await, 0.0);
    let permit = admit(&pacer, 0).await;
    permit.observe(&told(u64::MAX, u64::MAX));
    permit.observe(&told(0, 0));
    permit.settle(&usage(u64::MAX / 2));
    drop(permit);
    assert_eq!(wait(&pacer, 10_000_000).await, 0.0);
}
