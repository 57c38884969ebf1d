//! Tests of the pacer on a paused clock: minutes pass in no time.

use super::*;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

fn pacer(concurrency: usize, requests: Option<u64>, tokens: Option<u64>) -> Pacer {
    Pacer::new(Limits { concurrency, requests_per_minute: requests, tokens_per_minute: tokens })
}

/// Lets requests of these sizes go one after the other, answered at once, for this long; gives how many went.
async fn count(pacer: &Pacer, tokens: u64, during: Duration) -> u64 {
    let mut went = 0;
    let requests = async {
        loop {
            drop(pacer.admit(tokens).await);
            went += 1;
        }
    };
    assert!(timeout(during, requests).await.is_err());
    went
}

/// How long a request has to wait.
async fn wait(pacer: &Pacer, tokens: u64) -> f64 {
    let started = Instant::now();
    drop(pacer.admit(tokens).await);
    started.elapsed().as_secs_f64()
}

const TEN_MINUTES: Duration = Duration::from_secs(600);

#[tokio::test(start_paused = true)]
async fn requests_keep_to_the_limit_a_minute_within_three_percent() {
    for limit in [30, 600, 7_919] {
        let went = count(&pacer(64, Some(limit), None), 1_000, TEN_MINUTES).await;
        let expected = limit * 10;
        assert!(went.abs_diff(expected) * 100 <= expected * 3, "{went} of {expected}");
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_keep_to_the_limit_a_minute_within_three_percent() {
    let went = count(&pacer(64, None, Some(30_000)), 700, TEN_MINUTES).await * 700;
    assert!(went.abs_diff(300_000) <= 9_000, "{went}");
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
                    let permit = pacer.admit(10).await;
                    assert!(pacer.in_flight() <= 7);
                    sleep(Duration::from_millis(400)).await;
                    drop(permit);
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
    let waited = wait(&pacer, 100).await;
    assert!((0.9..=1.1).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_everyone_and_those_who_were_waiting_already() {
    let pacer = pacer(2, Some(60), None);
    let permits = [pacer.admit(0).await, pacer.admit(0).await];
    let started = Instant::now();
    let mut waiting = JoinSet::new();
    for _ in 0..10 {
        let pacer = pacer.clone();
        waiting.spawn(async move {
            drop(pacer.admit(0).await);
            started.elapsed()
        });
    }
    sleep(Duration::from_secs(1)).await;
    pacer.hold(Duration::from_secs(30));
    pacer.hold(Duration::from_secs(5));
    drop(permits);
    let went = waiting.join_all().await;
    assert!(went.iter().all(|went| *went >= Duration::from_secs(31)), "{went:?}");
}

#[tokio::test(start_paused = true)]
async fn no_pause_freezes_a_run() {
    let pacer = pacer(2, None, None);
    pacer.hold(Duration::from_secs(90));
    let waited = wait(&pacer, 0).await;
    assert!((90.0..91.0).contains(&waited), "{waited}");
    pacer.hold(Duration::from_secs(86_400));
    let waited = wait(&pacer, 0).await;
    assert!((120.0..121.0).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn what_was_estimated_too_low_is_paid_later() {
    let pacer = pacer(64, None, Some(6_000));
    assert_eq!(wait(&pacer, 600).await, 0.0);
    pacer.settle(600, 3_600);
    pacer.settle(600, 100);
    let waited = wait(&pacer, 100).await;
    assert!((30.5..=31.5).contains(&waited), "{waited}");
    let waited = wait(&pacer, 100).await;
    assert!((0.9..=1.1).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_count_of_tokens_freezes_nothing() {
    let pacer = pacer(64, None, Some(6_000));
    pacer.settle(0, u64::MAX);
    pacer.settle(0, u64::MAX);
    let waited = wait(&pacer, 100).await;
    assert!((54.0..=61.0).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn a_throttled_answer_halves_the_concurrency_once_and_it_grows_again() {
    let pacer = pacer(8, None, None);
    let mut permits = Vec::new();
    for _ in 0..8 {
        permits.push(pacer.admit(0).await);
    }
    // Answers to requests of one time come back throttled together: one signal, not eight.
    for permit in &permits {
        pacer.throttled(permit, None);
    }
    assert_eq!(pacer.concurrency(), 4);
    permits.truncate(4);
    assert!(timeout(Duration::from_secs(60), pacer.admit(0)).await.is_err());
    permits.truncate(3);
    let next = timeout(Duration::from_secs(1), pacer.admit(0)).await.unwrap();
    pacer.throttled(&next, Some(Duration::from_secs(1)));
    assert_eq!(pacer.concurrency(), 2);
    drop((next, permits));
    assert_eq!(pacer.in_flight(), 0);

    let mut grown = Vec::new();
    for _ in 0..60 {
        drop(pacer.admit(0).await);
        grown.push(pacer.concurrency());
        sleep(Duration::from_secs(1)).await;
    }
    assert!(grown.is_sorted() && grown[0] == 2, "{grown:?}");
    assert_eq!(grown.iter().position(|now| *now == 8), Some(29), "{grown:?}");
    assert_eq!(grown.last(), Some(&8));
}

#[tokio::test(start_paused = true)]
async fn something_may_always_be_in_flight() {
    let pacer = pacer(0, None, None);
    for _ in 0..5 {
        let permit = pacer.admit(0).await;
        sleep(Duration::from_secs(1)).await;
        pacer.throttled(&permit, None);
    }
    assert_eq!(pacer.concurrency(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_admission_that_is_given_up_gives_its_place_back() {
    let pacer = pacer(1, None, Some(6_000));
    drop(pacer.admit(600).await);
    assert!(timeout(Duration::from_secs(1), pacer.admit(6_000)).await.is_err());
    assert_eq!(pacer.in_flight(), 0);
    assert!(wait(&pacer, 10).await < 60.0);
}

fn told(limit: u64, left: u64) -> RateLimits {
    RateLimits { requests: None, requests_left: None, tokens: Some(limit), tokens_left: Some(left) }
}

#[tokio::test(start_paused = true)]
async fn limits_that_nobody_set_are_learnt_from_the_server() {
    let pacer = pacer(64, None, None);
    let permit = pacer.admit(1_000).await;
    let limits = RateLimits { requests: Some(600), requests_left: Some(599), ..RateLimits::default() };
    pacer.observe(&permit, limits);
    let went = count(&pacer, 1_000, TEN_MINUTES).await;
    assert!((5_940..=6_180).contains(&went), "{went}");
}

#[tokio::test(start_paused = true)]
async fn a_server_with_little_left_is_believed() {
    let pacer = pacer(64, None, Some(6_000));
    let permit = pacer.admit(10).await;
    pacer.observe(&permit, told(6_000, 0));
    let waited = wait(&pacer, 500).await;
    assert!((4.5..=5.5).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn what_was_left_is_corrected_for_what_has_happened_since() {
    let pacer = pacer(64, None, Some(6_000));
    let permit = pacer.admit(10).await;
    drop(pacer.admit(590).await);
    // 600 were left then; 590 have been spent since, and nothing has been refilled.
    pacer.observe(&permit, told(6_000, 600));
    let waited = wait(&pacer, 500).await;
    assert!((4.5..=5.5).contains(&waited), "{waited}");
    // Nothing was left half a minute ago: by now there is enough.
    let permit = pacer.admit(10).await;
    sleep(Duration::from_secs(30)).await;
    pacer.observe(&permit, told(6_000, 0));
    assert_eq!(wait(&pacer, 500).await, 0.0);
}

#[tokio::test(start_paused = true)]
async fn estimates_that_are_too_high_are_corrected_by_the_server() {
    let pacer = pacer(64, None, None);
    let mut went = 0;
    let requests = async {
        loop {
            let permit = pacer.admit(300).await;
            sleep(Duration::from_millis(200)).await;
            pacer.observe(&permit, told(6_000, 5_900));
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
            let permit = pacer.admit(100).await;
            let limits = RateLimits { requests: Some(10_000), requests_left: Some(9_999), ..told(60_000, 60_000) };
            pacer.observe(&permit, limits);
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
                let permit = pacer.admit(limit / 10).await;
                sleep(Duration::from_millis(100)).await;
                let limits = RateLimits { requests: Some(limit), requests_left: Some(0), ..told(limit, 0) };
                pacer.observe(&permit, limits);
                went += 1;
            }
        };
        assert!(timeout(TEN_MINUTES, requests).await.is_err());
        // A tenth of a minute's tokens each: ten a minute.
        assert!(went >= limit.min(10) * 9, "{limit}: {went}");
    }
}

#[tokio::test(start_paused = true)]
async fn limits_beyond_all_numbers_are_no_limits() {
    let pacer = pacer(4, Some(u64::MAX), Some(u64::MAX));
    assert_eq!(wait(&pacer, 10_000_000).await, 0.0);
    let permit = pacer.admit(0).await;
    pacer.observe(&permit, told(u64::MAX, u64::MAX));
    pacer.observe(&permit, told(0, 0));
    assert_eq!(wait(&pacer, 10_000_000).await, 0.0);
}
