//! What `annotate` and the batch lane share: takes what is asked and of whom, as it was typed, gives sessions, tasks and rater, checked.

use super::agree::check_units;
use super::grouping::grouping;
use super::{UsageError, environment, library, say, session_paths};
use interrater::cli::{Asking, Common, choice};
use interrater::codebook::{Codebook, Library};
use interrater::config::{Config, Key, ModelName, Rater};
use interrater::corpus::{self, Corpus};
use interrater::engine::plan::{inputs, keep_shard, select, survey};
use interrater::engine::{Plan, Sampling, TaskPlan};
use interrater::filter::Filter;
use interrater::gold::Gold;
use interrater::llm::baseline;
use interrater::material;
use interrater::prompt::Prompter;
use interrater::report::plural;
use interrater::report::sessions::{overview, repository_lines, skipped_lines};
use interrater::run::{Manifest, Run, Settings, safe_name};
use interrater::unit::{Grouping, units};
use miette::Result;
use std::sync::Arc;

/// What is asked, and of whom.
pub struct Asked {
    /// Sessions and tasks.
    pub plan: Plan,
    /// Who annotates.
    pub rater: Rater,
    /// What shapes the answers.
    pub settings: Settings,
    /// The tasks' codebooks, in the plan's order.
    pub codebooks: Vec<Arc<Codebook>>,
    /// The tasks' gold, as far as there is some.
    pub golds: Vec<Option<Gold>>,
}

/// Reads the sessions and tries the templates; says what was found.
pub fn asked(args: &Asking, need: Key, config: &Config, common: &Common) -> Result<Asked> {
    let filter = args.filter.as_deref().map(Filter::new).transpose()?;
    let library = library(config)?;
    let codebooks = chosen_codebooks(&library, args, config)?;
    let prompter = Prompter::new(&library, codebooks.iter().map(|codebook| &**codebook))?;
    let golds =
        codebooks.iter().map(|codebook| Gold::find(&config.paths.gold, codebook)).collect::<Result<Vec<_>, _>>()?;
    let model: ModelName = args.model.as_deref().unwrap_or(&config.annotate.model).parse()?;
    let rater = rater(&model, args, need, config)?;
    let grouped = grouping(args.group, &codebooks, &rater, common.quiet)?;
    let mut corpus = corpus::find(&session_paths(&args.sessions, config)?)?;
    try_templates(&prompter, &codebooks, &corpus)?;
    let mut sessions = survey(&mut corpus, filter.as_ref())?;
    if !common.quiet {
        repository_lines(&corpus).iter().chain(&skipped_lines(&corpus)).for_each(|line| say!("{line}"));
        say!("{}", overview(&sessions));
    }
    for (codebook, gold) in codebooks.iter().zip(&golds) {
        if let Some(gold) = gold {
            check_units(gold, codebook.unit, &sessions, &[], config)?;
        }
    }
    if let Some(shard) = args.shard {
        let whole = sessions.len() as u64;
        keep_shard(&mut corpus, &mut sessions, shard);
        if !common.quiet {
            say!("shard {shard}: {} of {}", sessions.len(), plural(whole, "session"));
        }
    }
    let inputs = inputs(&corpus)?;
    if let Some(name) = args.run.as_deref().filter(|name| name.is_empty() || safe_name(name) != *name) {
        return Err(UsageError::RunName(name.to_owned()).into());
    }
    let sampling = Sampling { limit: args.limit.map(|limit| limit as usize), shuffle: args.shuffle };
    let tasks: Vec<TaskPlan> = codebooks
        .iter()
        .zip(&golds)
        .zip(grouped)
        .map(|((codebook, gold), group)| {
            plan_task((codebook, group), gold.as_ref(), &model, &sessions, sampling, args, config)
        })
        .collect();
    let plan = Plan { corpus, library, sessions, inputs, tasks };
    let settings = Settings {
        temperature: args.temperature,
        max_output_tokens: None,
        samples: args.samples,
        filter: args.filter.clone(),
        shard: args.shard,
        limit: sampling.limit,
        shuffle: sampling.shuffle,
        redacted: choice(args.redact, args.no_redact).or(config.annotate.redact).unwrap_or(rater.is_remote()),
        // Each run's manifest says it of its own task.
        group: None,
    };
    if rater.is_remote() && !settings.redacted && !common.quiet {
        say!("warning: redaction is off: sessions are sent as they are, with all secrets that they hold");
    }
    Ok(Asked { plan, rater, settings, codebooks, golds })
}

fn chosen_codebooks(library: &Library, args: &Asking, config: &Config) -> Result<Vec<Arc<Codebook>>> {
    let named = if args.tasks.is_empty() { &config.annotate.tasks } else { &args.tasks };
    if named.is_empty() {
        return Ok(library.codebooks().iter().cloned().map(Arc::new).collect());
    }
    let mut tasks: Vec<&String> = Vec::new();
    for task in named {
        if !tasks.contains(&task) {
            tasks.push(task);
        }
    }
    Ok(tasks.into_iter().map(|task| library.task(task).cloned().map(Arc::new)).collect::<Result<Vec<_>, _>>()?)
}

/// Renders the first unit of every task: what is wrong with a template shows before a run is begun or an answer is paid for.
fn try_templates(prompter: &Prompter, codebooks: &[Arc<Codebook>], corpus: &Corpus) -> Result<()> {
    let mut untried: Vec<&Arc<Codebook>> = codebooks.iter().collect();
    for source in corpus.sources() {
        if untried.is_empty() {
            break;
        }
        let session = corpus::read(source)?;
        let mut left = Vec::new();
        for codebook in untried {
            match units(&session, codebook.unit).first() {
                Some(unit) => {
                    let material = material::render(&session, unit, &codebook.sees);
                    prompter.render(&codebook.task, &session, unit, &material)?;
                    if codebook.group == Some(true) {
                        prompter.render_group(&codebook.task, std::slice::from_ref(unit), &material)?;
                    }
                }
                None => left.push(codebook),
            }
        }
        untried = left;
    }
    Ok(())
}

fn rater(model: &ModelName, args: &Asking, need: Key, config: &Config) -> Result<Rater> {
    let mut rater = config.rater(model, args.base_url.as_deref(), &environment, need)?;
    if let Rater::Model(model) = &mut rater {
        model.max_output_tokens = args.max_output_tokens.or(model.max_output_tokens);
    }
    Ok(rater)
}

fn plan_task(
    (codebook, group): (&Arc<Codebook>, Option<Grouping>),
    gold: Option<&Gold>,
    model: &ModelName,
    sessions: &[interrater::session::SessionSummary],
    sampling: Sampling,
    args: &Asking,
    config: &Config,
) -> TaskPlan {
    let (units, selection) = select(sessions, codebook.unit, sampling);
    let mut run = match &args.run {
        Some(name) if args.tasks.len() == 1 => name.clone(),
        Some(name) => format!("{name}-{}", codebook.task),
        None => format!("{}-{}-{}-{}", codebook.task, model.provider, model.model, codebook.hash.short()),
    };
    if args.run.is_none() && group.is_some() {
        run.push_str("-grouped");
    }
    if let Some(shard) = args.shard {
        run.push_str(&format!("-{}", shard.in_a_name()));
    }
    let run = safe_name(&run);
    // What else stood in sight makes another rater: its rows are never mixed with those of one that saw less.
    let sight = group.map(|group| format!("/{}", group.name())).unwrap_or_default();
    let adjudicated: Vec<_> = gold.iter().flat_map(|gold| gold.adjudicated()).map(|row| &row.fields).collect();
    TaskPlan {
        folder: config.paths.runs.join(&run),
        run,
        rater: format!("{model}@{}{sight}", codebook.version()),
        group,
        units,
        selection,
        majority: baseline::majority(codebook, &adjudicated),
        codebook: codebook.clone(),
    }
}

/// The manifest of the run that a task would write, if there is one. A run is one rater's.
pub fn own_run(task: &TaskPlan, config: &Config) -> Result<Option<Manifest>> {
    let Ok(Run { manifest, .. }) = Run::open(&config.paths.runs, &task.run) else { return Ok(None) };
    if manifest.rater != task.rater {
        let Manifest { run, rater, .. } = manifest;
        return Err(UsageError::OtherRater { run, rater, wanted: task.rater.clone() }.into());
    }
    Ok(Some(manifest))
}
