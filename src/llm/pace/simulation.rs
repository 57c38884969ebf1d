//! The pacer against servers that enforce limits, for ten minutes of a paused clock: how much goes, what is refused, who waits.
//!
//! Each request takes 20 to 150 ms on its way to the server and 0.5 to 30 s until it is answered; every fifth is ten times as large.

mod server;

use super::*;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use server::{Reception, Rule, Server};
use tokio::task::JoinSet;
use tokio::time::sleep;

const REQUESTS: usize = 0;
const TOKENS: usize = 1;
const INPUT: usize = 2;
const OUTPUT: usize = 3;

/// Seconds of a simulation.
const DURATION: f64 = 600.0;

/// What is simulated.
#[derive(Debug, Clone)]
struct Scenario {
    rule: Rule,
    /// The server's limits of requests, tokens, input tokens, output tokens.
    enforced: [Option<u64>; 4],
    /// Whether its headers tell them.
    tells: bool,
    /// The user's own.
    own: [Option<u64>; 4],
    /// Input tokens of a small request; every fifth has ten times as many.
    small: u64,
    /// Actual input tokens to one estimated, and how much that varies.
    ratio: (f64, f64),
    /// The server's limits are multiplied at these seconds.
    changes: Vec<(f64, f64)>,
}

/// One request that the server took.
#[derive(Debug, Clone, Copy)]
struct Taken {
    /// When the pacer let it go.
    let_go: f64,
    /// When the server took it.
    at: f64,
    /// How long it had waited for the pacer, all its attempts together.
    waited: f64,
    amounts: [u64; 4],
    is_large: bool,
}

/// What happened.
#[derive(Debug, Default)]
struct Report {
    taken: Vec<Taken>,
    /// When the server refused a request.
    refused: Vec<f64>,
}

impl Report {
    /// What the server took in these seconds, per minute.
    fn rate(&self, limit: usize, from: f64, to: f64) -> f64 {
        let taken = self.taken.iter().filter(|taken| (from..to).contains(&taken.at));
        taken.map(|taken| taken.amounts[limit] as f64).sum::<f64>() / (to - from) * 60.0
    }

    fn refused(&self, from: f64, to: f64) -> usize {
        self.refused.iter().filter(|at| (from..to).contains(at)).count()
    }

    /// The most that was let go in any 60 seconds that begin after `from`.
    fn most_in_a_minute(&self, limit: usize, from: f64) -> u64 {
        let mut taken: Vec<Taken> = self.taken.iter().filter(|taken| taken.let_go >= from).copied().collect();
        taken.sort_by(|a, b| a.let_go.total_cmp(&b.let_go));
        let (mut first, mut sum, mut most) = (0, 0, 0);
        for last in &taken {
            sum += last.amounts[limit];
            while taken[first].let_go <= last.let_go - 60.0 {
                sum -= taken[first].amounts[limit];
                first += 1;
            }
            most = most.max(sum);
        }
        most
    }

    /// How long requests of one kind waited on the average, once the first minute is over.
    fn mean_wait(&self, is_large: bool) -> f64 {
        let waits: Vec<f64> = self
            .taken
            .iter()
            .filter(|taken| taken.is_large == is_large && taken.at > 60.0)
            .map(|taken| taken.waited)
            .collect();
        waits.iter().sum::<f64>() / waits.len() as f64
    }
}

impl Scenario {
    fn run(self) -> Report {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(self.simulate())
    }

    async fn simulate(self) -> Report {
        let [requests_per_minute, tokens_per_minute, input_tokens_per_minute, output_tokens_per_minute] = self.own;
        let limits = Limits {
            concurrency: 400,
            requests_per_minute,
            tokens_per_minute,
            input_tokens_per_minute,
            output_tokens_per_minute,
            patience: Duration::from_secs(600),
        };
        let pacer = Pacer::new(limits, Accounting::AsUsed);
        let started = Instant::now();
        let server = Arc::new(Mutex::new(Server::new(self.rule, self.enforced, self.tells)));
        let report = Arc::new(Mutex::new(Report::default()));
        let mut tasks = JoinSet::new();
        for number in 0..400 {
            let worker = Worker {
                scenario: self.clone(),
                pacer: pacer.clone(),
                server: Arc::clone(&server),
                report: Arc::clone(&report),
                started,
                random: ChaCha8Rng::seed_from_u64(number),
            };
            tasks.spawn(worker.work());
        }
        for (at, factor) in self.changes {
            tokio::time::sleep_until(started + Duration::from_secs_f64(at)).await;
            server.lock().unwrap().change(factor, at);
        }
        tokio::time::sleep_until(started + Duration::from_secs_f64(DURATION)).await;
        tasks.shutdown().await;
        std::mem::take(&mut *report.lock().unwrap())
    }
}

/// Sends one request after the other.
struct Worker {
    scenario: Scenario,
    pacer: Pacer,
    server: Arc<Mutex<Server>>,
    report: Arc<Mutex<Report>>,
    started: Instant,
    random: ChaCha8Rng,
}

impl Worker {
    async fn work(mut self) {
        loop {
            self.send().await;
        }
    }

    fn now(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    async fn pause(&mut self, from: f64, to: f64) {
        let seconds = self.random.random_range(from..=to);
        sleep(Duration::from_secs_f64(seconds)).await;
    }

    async fn send(&mut self) {
        let is_large = self.random.random_bool(0.2);
        let (ratio, varies) = self.scenario.ratio;
        let typical = self.scenario.small * if is_large { 10 } else { 1 };
        let estimate = (typical as f64 * self.random.random_range(0.7..1.3)).round();
        let input = (estimate * ratio * self.random.random_range(1.0 - varies..=1.0 + varies)).round() as u64;
        let output = self.random.random_range(100..500);
        let amounts = [1, input + output, input, output];
        let size = Size { input: estimate as u64, output_limit: None };
        let mut waited = 0.0;
        for failures in 0.. {
            let asked = self.now();
            let permit = self.pacer.admit(size).await.unwrap();
            let let_go = self.now();
            waited += let_go - asked;
            self.pause(0.02, 0.15).await;
            let at = self.now();
            let reception = self.server.lock().unwrap().receive(amounts, at);
            match reception {
                Reception::Accepted(told) => {
                    self.report.lock().unwrap().taken.push(Taken { let_go, at, waited, amounts, is_large });
                    let latency = self.random.random_range(0.5_f64.ln()..30_f64.ln()).exp();
                    sleep(Duration::from_secs_f64(latency)).await;
                    permit.observe(&told);
                    permit.settle(&Usage { input, output, ..Usage::default() });
                    permit.end(Outcome::Answered);
                    return;
                }
                Reception::Refused(told, after) => {
                    self.report.lock().unwrap().refused.push(at);
                    self.pause(0.02, 0.15).await;
                    permit.observe(&told);
                    permit.end(Outcome::TooFast { after: Some(after), reason: "HTTP 429" });
                    let jitter = self.random.random_range(0.0..2_f64.powi(failures).min(60.0));
                    sleep(after.max(Duration::from_secs_f64(jitter))).await;
                }
            }
        }
    }
}

const RULES: [Rule; 4] = [Rule::Bucket(60.0), Rule::Bucket(8.0), Rule::Sliding, Rule::Fixed];

const A_LIMIT: u64 = 2_000_000;

/// A limit of tokens that only the user tells, and estimates that are too low.
fn own(rule: Rule, limit: usize, per_minute: u64) -> Scenario {
    let mut enforced = [None; 4];
    enforced[limit] = Some(per_minute);
    Scenario { rule, enforced, tells: false, own: enforced, small: 2_000, ratio: (1.2, 0.1), changes: Vec::new() }
}

/// A limit that only the server tells.
fn told(rule: Rule, limit: usize, per_minute: u64) -> Scenario {
    Scenario { own: [None; 4], tells: true, ..own(rule, limit, per_minute) }
}

/// That the limit is used but for 3 %, and that nothing is refused once the first minute is over.
fn assert_used(name: &str, report: &Report, limit: usize, per_minute: u64) {
    let rate = report.rate(limit, 60.0, DURATION) / per_minute as f64;
    let refused = report.refused(60.0, DURATION);
    assert!(rate >= 0.97 && refused == 0, "{name}: {rate:.3} of the limit, {refused} refused");
}

#[test]
fn the_users_own_limits_are_used_and_no_minute_exceeds_them() {
    for rule in RULES {
        let report = own(rule, TOKENS, A_LIMIT).run();
        assert_used(&format!("{rule:?}"), &report, TOKENS, A_LIMIT);
        // Once it is known what an estimate is worth.
        let (learnt, all) = (report.most_in_a_minute(TOKENS, 120.0), report.most_in_a_minute(TOKENS, 0.0));
        assert!(learnt <= A_LIMIT && all <= A_LIMIT * 101 / 100, "{rule:?}: {learnt} {all}");
    }
}

#[test]
fn what_is_known_exactly_never_exceeds_the_users_limits_in_any_minute() {
    for (limit, per_minute) in [(REQUESTS, 600), (INPUT, A_LIMIT)] {
        let report = Scenario { ratio: (1.0, 0.0), ..own(Rule::Sliding, limit, per_minute) }.run();
        assert_used("exact", &report, limit, per_minute);
        let most = report.most_in_a_minute(limit, 0.0);
        assert!(most <= per_minute && most >= per_minute * 98 / 100, "{most} of {per_minute}");
    }
}

#[test]
fn limits_that_the_server_tells_are_used_and_nothing_is_refused() {
    for rule in RULES {
        let report = told(rule, TOKENS, A_LIMIT).run();
        assert_used(&format!("{rule:?}"), &report, TOKENS, A_LIMIT);
    }
    let report = told(Rule::Bucket(60.0), OUTPUT, 90_000).run();
    assert_used("output", &report, OUTPUT, 90_000);
    let report = told(Rule::Fixed, REQUESTS, 450).run();
    assert_used("requests", &report, REQUESTS, 450);
}

#[test]
fn a_limit_that_is_raised_is_used_within_thirty_seconds() {
    for rule in RULES {
        let report = Scenario { changes: vec![(240.0, 2.0)], ..told(rule, TOKENS, A_LIMIT) }.run();
        let rate = report.rate(TOKENS, 270.0, DURATION) / (2 * A_LIMIT) as f64;
        assert!(rate >= 0.97 && report.refused(60.0, DURATION) == 0, "{rule:?}: {rate:.3}");
        let soon = report.rate(TOKENS, 270.0, 300.0) / (2 * A_LIMIT) as f64;
        assert!(soon >= 0.93, "{rule:?}: {soon:.3}");
    }
}

#[test]
fn a_limit_that_is_lowered_is_kept_and_used_again_when_it_is_raised() {
    for rule in RULES {
        let report = Scenario { changes: vec![(180.0, 0.5), (360.0, 2.0)], ..told(rule, TOKENS, A_LIMIT) }.run();
        let lowered = report.rate(TOKENS, 240.0, 360.0) / (A_LIMIT / 2) as f64;
        let raised = report.rate(TOKENS, 390.0, DURATION) / A_LIMIT as f64;
        assert!(lowered >= 0.95 && raised >= 0.97, "{rule:?}: {lowered:.3} {raised:.3}");
        // What was on its way when the limit fell, and what was decided before anyone knew.
        let refused = (report.refused(60.0, 180.0), report.refused(180.0, 240.0), report.refused(240.0, DURATION));
        assert!(refused.0 == 0 && refused.1 <= 10 && refused.2 == 0, "{rule:?}: {refused:?}");
    }
}

#[test]
fn large_requests_wait_no_longer_than_small_ones_but_for_their_own_tokens() {
    // A large request is 6 % of a minute: what all have to wait for is the room that it needs.
    let report = own(Rule::Sliding, TOKENS, A_LIMIT / 5).run();
    let (small, large) = (report.mean_wait(false), report.mean_wait(true));
    assert!((large - small).abs() < 0.1 * small, "{small:.1} s and {large:.1} s");
    let taken = report.taken.iter().filter(|taken| taken.is_large).count() as f64 / report.taken.len() as f64;
    assert!((0.15..=0.25).contains(&taken), "{taken}");
    let rate = report.rate(TOKENS, 60.0, DURATION) / (A_LIMIT / 5) as f64;
    assert!(rate >= 0.92 && report.refused(60.0, DURATION) == 0, "{rate:.3}");
}

#[test]
fn a_limit_that_nobody_tells_is_found() {
    for rule in RULES {
        let report = Scenario { own: [None; 4], ..own(rule, TOKENS, A_LIMIT) }.run();
        let rate = report.rate(TOKENS, 60.0, DURATION) / A_LIMIT as f64;
        let refused = report.refused.len() as f64 / report.taken.len() as f64;
        assert!(rate >= 0.8 && refused <= 0.1, "{rule:?}: {rate:.3}, {refused:.3} refused");
    }
}
