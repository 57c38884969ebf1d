//! `label`: the page on which people label and decide; or the same in a terminal.

mod plain;

use super::annotate::told_to_end;
use super::{
    Exit, UsageError, config, environment, library, print, print_beside, print_json_lines, say, session_paths,
};
use interrater::cli::{Common, Label as Args, choice};
use interrater::codebook::Codebook;
use interrater::config::{Config, Key};
use interrater::corpus::{self, Corpus};
use interrater::gold::file::GoldFile;
use interrater::labelling::adjudication::{Adjudication, Model};
use interrater::labelling::desk::{Desk, Progress};
use interrater::labelling::pile::{self, Card};
use interrater::labelling::question::Question;
use interrater::labelling::shelf::Shelf;
use interrater::page::guard::Guard;
use interrater::page::{Room, Work, router, serve, told};
use interrater::prompt::Prompter;
use interrater::report::sessions::{repository_lines, skipped_lines};
use interrater::run::vote::Voting;
use interrater::run::{Annotation, Run};
use interrater::unit::units;
use miette::{IntoDiagnostic, Result};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;

/// Sets the table, and serves until it is told to end.
pub fn run(args: &Args, common: &Common) -> Result<Exit> {
    if args.plain && common.json {
        return Err(UsageError::PlainJson.into());
    }
    let config = config(common)?;
    let library = library(&config)?;
    let codebook = Arc::new(library.task(&args.task)?.clone());
    let mut corpus = corpus::find(&session_paths(&args.sessions, &config)?)?;
    let path = args.gold.clone().unwrap_or_else(|| config.paths.gold.join(format!("{}.csv", codebook.task)));
    let gold = GoldFile::new(&path, codebook.clone());
    let pile = if args.adjudicate { None } else { Some(cards(args, &codebook, &config, &mut corpus)?) };
    if !common.quiet {
        repository_lines(&corpus).iter().chain(&skipped_lines(&corpus)).for_each(|line| say!("{line}"));
    }
    let prompter = Prompter::new(&library, [codebook.as_ref()])?;
    let shelf = Shelf::new(codebook.clone(), prompter, &corpus, is_redacted(args, &config)?);
    let question = Question::of(&codebook);
    let work = match pile {
        Some((cards, sheet_rater)) => {
            let cards = with_sessions(cards, &shelf, args, common)?;
            let rater = args.rater.clone().or(sheet_rater).unwrap_or_else(|| "human".to_owned());
            Work::Label(Desk::new(gold, codebook, &rater, cards)?)
        }
        None => Work::Adjudicate(adjudication(args, gold, codebook, &config)?),
    };
    let room = Room { shelf, question, work };
    match &room.work {
        Work::Label(desk) if args.plain => {
            let exit = plain::run(desk, &room.shelf, &room.question)?;
            print_beside(&format!("{}\n", closing_line(&room)))?;
            Ok(exit)
        }
        _ => page(&Arc::new(room), args, common),
    }
}

/// The cases, and the models whose answers can be asked for.
fn adjudication(args: &Args, gold: GoldFile, codebook: Arc<Codebook>, config: &Config) -> Result<Adjudication> {
    let mut models = Vec::new();
    for name in &args.run {
        let run = open_run(name, &codebook, config)?;
        let mut rows = run.annotations()?;
        if run.manifest.settings.samples > 1 {
            rows = Voting::new(&codebook).votes(&rows).into_iter().map(|vote| vote.row).collect();
        }
        let answers = rows.into_iter().map(|row| (row.unit.clone(), row)).collect();
        models.push(Model { run: run.manifest.run, rater: run.manifest.rater, answers });
    }
    let path = gold.path().to_owned();
    let by = args.rater.as_deref().unwrap_or("human");
    let adjudication = Adjudication::new(gold, codebook, by, models)?;
    if adjudication.is_empty() {
        return Err(UsageError::NothingToAdjudicate { task: args.task.clone(), gold: path }.into());
    }
    Ok(adjudication)
}

fn open_run(name: &str, codebook: &Codebook, config: &Config) -> Result<Run> {
    let run = Run::open(&config.paths.runs, name)?;
    if run.manifest.task == codebook.task {
        return Ok(run);
    }
    let (run, task) = (run.manifest.run, run.manifest.task);
    Err(UsageError::OtherTask { run, task, wanted: codebook.task.clone() }.into())
}

/// The units, and the rater that their sheet names.
fn cards(
    args: &Args,
    codebook: &Codebook,
    config: &Config,
    corpus: &mut Corpus,
) -> Result<(Vec<Card>, Option<String>)> {
    if let Some(path) = &args.units {
        return Ok((pile::of_list(path, codebook.unit)?, None));
    }
    if !args.run.is_empty() {
        let mut found = Vec::new();
        for name in &args.run {
            let run = open_run(name, codebook, config)?;
            run.rows(|row: Annotation| found.push(row.unit))?;
        }
        return Ok((pile::of_units(found), None));
    }
    let drawn = config.paths.gold.join(format!("{}.sample.csv", codebook.task));
    if let Some(path) = args.sample.as_ref().or(drawn.is_file().then_some(&drawn)) {
        return Ok(pile::of_sheet(path, codebook)?);
    }
    let kind = codebook.unit;
    let found = corpus.survey(|session| units(&session, kind).into_iter().map(|unit| unit.id).collect::<Vec<_>>())?;
    Ok((pile::of_units(found.into_iter().flatten()), None))
}

/// Those whose sessions are here; that others are not is said.
fn with_sessions(cards: Vec<Card>, shelf: &Shelf, args: &Args, common: &Common) -> Result<Vec<Card>> {
    let (here, gone): (Vec<Card>, Vec<Card>) = cards.into_iter().partition(|card| shelf.has_session_of(&card.unit));
    match gone.first() {
        _ if here.is_empty() => return Err(UsageError::NothingToLabel(args.task.clone()).into()),
        Some(first) if !common.quiet => say!(
            "note: {} of {} units left out, since their sessions are not here, such as `{}`; --sessions names others",
            gone.len(),
            gone.len() + here.len(),
            first.unit
        ),
        _ => {}
    }
    Ok(here)
}

/// Whether secrets are replaced: people see what a model would see, and nothing leaves this machine that they need not see.
fn is_redacted(args: &Args, config: &Config) -> Result<bool> {
    if let Some(choice) = choice(args.redact, args.no_redact).or(config.annotate.redact) {
        return Ok(choice);
    }
    let is_remote = config
        .rater(&config.annotate.model.parse()?, None, &environment, Key::Optional)
        .map_or(true, |rater| rater.is_remote());
    Ok(is_remote || !args.listen.is_loopback())
}

fn page(room: &Arc<Room>, args: &Args, common: &Common) -> Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().into_diagnostic()?;
    runtime.block_on(async {
        let wanted = SocketAddr::new(args.listen, args.port);
        let listener = tokio::net::TcpListener::bind(wanted)
            .await
            .map_err(|source| UsageError::CannotListen { address: wanted, source })?;
        let address = listener.local_addr().into_diagnostic()?;
        let guard = Arc::new(Guard::new(address));
        let url = format!("http://{address}{}", guard.path());
        announce(room, &url, args, common)?;
        serve(listener, router(room.clone(), guard), told_to_end()).await.into_diagnostic()
    })?;
    if !common.quiet {
        say!("{}", closing_line(room));
    }
    Ok(Exit::Done)
}

fn announce(room: &Room, url: &str, args: &Args, common: &Common) -> Result<()> {
    if !args.listen.is_loopback() {
        say!(
            "warning: other machines can reach this page at {}, and nothing on the way is encrypted: whoever sees the address can read the \
             sessions and answer in your name. An SSH tunnel to the default address is safer.",
            args.listen
        );
    }
    let progress = room.progress()?;
    let (mode, rater) = match &room.work {
        Work::Label(desk) => ("label", desk.rater()),
        Work::Adjudicate(adjudication) => ("adjudicate", adjudication.by()),
    };
    if common.json {
        print_json_lines(&[json!({
            "url": url, "task": room.question.task, "mode": mode, "rater": rater, "progress": progress,
        })])?;
    } else {
        let does = if mode == "label" { "labels" } else { "decides on" };
        print(&format!(
            "{} · {rater} {does} {} units, {} of them done\n{url}\n",
            room.question.title, progress.units, progress.done
        ))?;
        if !common.quiet {
            say!("Open that address in a browser; Ctrl-C ends. Every answer is on disk before the page says so.");
        }
    }
    if args.open_browser {
        open_browser(url);
    }
    Ok(())
}

fn closing_line(room: &Room) -> String {
    let did = if matches!(room.work, Work::Label(_)) { "labelled" } else { "decided" };
    match room.progress() {
        Ok(Progress { units, done, skipped, now }) => {
            format!("{now} {did} now; {done} of {units} done, {skipped} skipped")
        }
        Err(error) => told(&error),
    }
}

/// Asks the desktop to show the page; that it cannot is no failure of ours.
fn open_browser(url: &str) {
    let (program, first) = match std::env::consts::OS {
        "macos" => ("open", None),
        "windows" => ("cmd", Some(["/C", "start", ""])),
        _ => ("xdg-open", None),
    };
    let mut command = std::process::Command::new(program);
    command.args(first.into_iter().flatten()).arg(url);
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    if let Err(error) = command.spawn() {
        say!("note: {program} could not be started ({error}); open the address yourself");
    }
}
