//! `batch submit` and `batch export`: what the store lacks goes out.

use super::{Patience, reach, tell, warn_of};
use crate::commands::asking::{Asked, asked, own_run};
use crate::commands::{Exit, print, print_json, say};
use interrater::batch::draft::{Counted, Split};
use interrater::batch::file::export as write;
use interrater::batch::link::Link;
use interrater::batch::questions::{Wanted, estimate};
use interrater::batch::submit::submit as send;
use interrater::batch::{BatchError, Event, give_up};
use interrater::cli::batch::{Export, Handing, Submit};
use interrater::cli::{Asking, Common};
use interrater::config::{Config, Key, Model, Rater};
use interrater::forecast::Between;
use interrater::report::batch::{JobDocument, cost_range, job_line};
use interrater::report::plural;
use interrater::store::journal::Job;
use jiff::Timestamp;
use miette::{Diagnostic, Result};
use serde_json::{Value, json};
use std::sync::Arc;

/// What cannot be handed over as it was asked for.
#[derive(Debug, thiserror::Error, Diagnostic)]
enum HandOverError {
    /// There is a limit, and no price to hold against it.
    #[error("--max-cost needs a price for {0}, and there is none")]
    #[diagnostic(help("add a [price.\"{0}\"] table to config.toml"))]
    NoPrice(String),
}

/// Submits to the provider's lane.
pub fn submit(args: &Submit, config: &Config, common: &Common) -> Result<Exit> {
    let patience = Patience::new(config, args.timeout, args.max_retries);
    let wanted = wanted(&args.asking, &args.handing, config, common)?;
    let link = Link::new(wanted.model.clone(), patience.timeout, patience.backoff)?;
    if let Some(exit) = before(&wanted, &args.handing, common)? {
        return Ok(exit);
    }
    let reach = |job: &Job| reach(job, config, patience);
    let mut listener = |event: Event<'_>| match event {
        Event::Job(job) if !common.quiet && !common.json => say!("{}", job_line(job)),
        event => tell(event, common),
    };
    let submitted = super::block_on(send(&wanted, &link, split(&args.handing), &reach, &mut listener))??;
    let done = Done {
        jobs: &submitted.jobs,
        counted: &submitted.counted,
        settled: submitted.settled,
        unconfirmed: &submitted.unconfirmed,
    };
    if wanted.settings.redacted && !common.quiet {
        say!("redacted: {}", submitted.redactions);
    }
    done.tell(&wanted.model, "interrater batch collect --wait", common)?;
    warn_of(&submitted.unconfirmed);
    Ok(done.exit())
}

/// Writes files for others to answer.
pub fn export(args: &Export, config: &Config, common: &Common) -> Result<Exit> {
    let wanted = wanted(&args.asking, &args.handing, config, common)?;
    if let Some(exit) = before(&wanted, &args.handing, common)? {
        return Ok(exit);
    }
    let patience = Patience::new(config, None, Some(1));
    let reach = |job: &Job| reach(job, config, patience);
    let written =
        super::block_on(write(&wanted, &args.file, split(&args.handing), &reach, &mut |event| tell(event, common)))??;
    let done = Done { jobs: &written.jobs, counted: &written.counted, settled: written.settled, unconfirmed: &[] };
    if !common.quiet {
        if wanted.settings.redacted {
            say!("redacted: {}", written.redactions);
        }
        if !common.json {
            written.jobs.iter().for_each(|job| say!("{}", job_line(job)));
        }
    }
    done.tell(&wanted.model, "interrater batch import FILE…, with the answers", common)?;
    Ok(done.exit())
}

fn split(handing: &Handing) -> Split {
    Split { requests: handing.max_requests, bytes: handing.max_bytes }
}

/// What is wanted; jobs that shall be are given up.
fn wanted(args: &Asking, handing: &Handing, config: &Config, common: &Common) -> Result<Wanted> {
    // Who asks nobody needs no key.
    let need = if handing.dry_run { Key::Optional } else { Key::Required };
    let Asked { plan, rater, settings, .. } = asked(args, need, config, common)?;
    let model = match rater {
        Rater::Model(model) => *model,
        Rater::Cues | Rater::Majority | Rater::Labels => {
            let name = args.model.clone().unwrap_or_else(|| config.annotate.model.clone());
            return Err(BatchError::NobodyAsked(name).into());
        }
    };
    if model.adapter.batch_lane().is_none() {
        return Err(BatchError::NoLane(model.name.to_string()).into());
    }
    // Answers that no run could take would be paid for in vain.
    plan.tasks.iter().try_for_each(|task| own_run(task, config).map(|_| ()))?;
    if !handing.dry_run {
        for job in &handing.resubmit {
            let freed = give_up(&config.paths.store, job)?;
            if !common.quiet {
                say!("job {job} is given up: {} free again", plural(freed, "request"));
            }
        }
    }
    Ok(Wanted { plan: Arc::new(plan), model, settings, store: config.paths.store.clone() })
}

/// What has to be known before anything is handed over; gives how the command ends, if it ends here.
fn before(wanted: &Wanted, handing: &Handing, common: &Common) -> Result<Option<Exit>> {
    if !handing.dry_run && handing.max_cost.is_none() {
        return Ok(None);
    }
    if handing.max_cost.is_some() && wanted.model.price.is_none() {
        return Err(HandOverError::NoPrice(wanted.model.name.to_string()).into());
    }
    let estimate = super::block_on(estimate(wanted))??;
    let range = estimate.cost();
    if let (Some(limit), Some(Between(_, _, high))) = (handing.max_cost, range)
        && high > limit
    {
        say!("error: it may cost {}, which is above --max-cost {limit}: nothing was handed over", cost_range(range));
        say!("hint: raise --max-cost, or ask less with --limit");
        return Ok(Some(Exit::AtMaxCost));
    }
    if !handing.dry_run {
        return Ok(None);
    }
    if let (Some(redactions), false) = (&estimate.forecast.redactions, common.quiet) {
        say!("redacted: {redactions}");
    }
    if common.json {
        print_json(&json!({
            "forecast": estimate.forecast, "settled": estimate.settled, "under_way": estimate.under_way,
        }))?;
    } else {
        print(&format!(
            "{}{} need no request, {} in open jobs; prices of the batch lane\n",
            estimate.forecast,
            plural(estimate.settled, "unit"),
            plural(estimate.under_way, "request"),
        ))?;
    }
    Ok(Some(Exit::Done))
}

/// What was handed over.
struct Done<'d> {
    jobs: &'d [Job],
    counted: &'d Counted,
    settled: u64,
    unconfirmed: &'d [Job],
}

impl Done<'_> {
    fn tell(&self, model: &Model, next: &str, common: &Common) -> Result<()> {
        let Done { jobs, counted, settled, unconfirmed } = self;
        let requests: u64 = jobs.iter().map(|job| job.requests).sum();
        let range = counted.cost();
        if common.json {
            let now = Timestamp::now();
            let documents =
                |jobs: &[Job]| -> Value { jobs.iter().map(|job| json!(JobDocument::new(job, now))).collect() };
            return print_json(&json!({
                "jobs": documents(jobs), "requests": requests, "settled": settled, "under_way": counted.under_way,
                "too_large": counted.too_large, "cost_usd": range.map(|Between(low, expected, high)| json!({ "low": low, "expected": expected, "high": high })),
                "unconfirmed": documents(unconfirmed),
            }));
        }
        let mut more = format!("{} needed none", plural(*settled, "unit"));
        for (count, what) in [(counted.under_way, "in open jobs"), (counted.too_large, "too large for a job")] {
            if count > 0 {
                more.push_str(&format!(", {count} {what}"));
            }
        }
        let cost = if requests > 0 { format!(", {} at the batch price", cost_range(range)) } else { String::new() };
        print(&format!("{} for {}{cost}; {more}\n", plural(requests, "request"), model.name))?;
        if model.price.as_ref().is_some_and(|price| price.batch_discount.is_none()) && !common.quiet {
            say!("note: the price of {} has no batch_discount: the full price is taken", model.name);
        }
        if requests > 0 && !common.quiet {
            say!("next: {next}, then `interrater annotate` with the same options");
        }
        Ok(())
    }

    fn exit(&self) -> Exit {
        if self.counted.too_large > 0 || !self.unconfirmed.is_empty() { Exit::Trouble } else { Exit::Done }
    }
}
