//! What the verbs that score runs on gold share: who looks at its test split, and whether it holds examples of the codebook.

use super::environment;
use interrater::codebook::{Codebook, Library};
use interrater::config::{Config, expand_home};
use interrater::corpus::{self, Corpus};
use interrater::evaluation::RunRows;
use interrater::evaluation::leak::{LeakCheck, UnitText, has_examples};
use interrater::evaluation::sealed::{FEWEST_HIDDEN, Looks, Opened, Seal};
use interrater::gold::{Gold, Split};
use interrater::report::plural;
use interrater::session::SessionId;
use interrater::store::{Evaluation, Store, is_new};
use interrater::unit::{UnitId, units};
use miette::{IntoDiagnostic, Result};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

/// A look at a part of a gold.
pub struct Look<'g> {
    gold: &'g Gold,
    split: Option<Split>,
    /// The ledger's lines on the task.
    pub lines: Vec<Evaluation>,
    /// Which units are not named.
    pub seal: Seal,
    /// To whom single units of the test split are shown.
    pub shown_to: Option<String>,
}

impl<'g> Look<'g> {
    /// Reads the ledger of the store at `path`, if there is one.
    pub fn at(path: &Path, task: &str, gold: &'g Gold, split: Option<Split>, show_test: bool) -> Result<Look<'g>> {
        let lines = match is_new(path) {
            true => Vec::new(),
            false => Store::open(path).and_then(|store| store.evaluations(task)).into_diagnostic()?,
        };
        let shown_to = (show_test && Looks::opens_test(gold, split)).then(person);
        Ok(Look { gold, split, lines, seal: Seal::of(gold, show_test), shown_to })
    }

    /// The ledger as it bears on this look.
    pub fn looks(&self) -> Looks<'_> {
        Looks::at(self.gold, self.split, &self.lines)
    }

    /// How often the test split was opened, this look included; `None` where it is not looked at.
    pub fn opened(&self) -> Option<Opened> {
        self.looks().opened(self.shown_to.is_some())
    }
}

/// What `agree` tells beside its figures.
#[derive(Default)]
pub struct TaskTold {
    /// How often the test split was opened.
    pub opened: Option<Opened>,
    /// Units of the test split whose disagreements are left out.
    pub hidden: usize,
    /// Groups with too few units of the test split to be shown.
    pub small_groups: usize,
    /// Whether the gold holds examples of the codebook; none without gold.
    pub leaks: Option<LeakCheck>,
}

impl TaskTold {
    /// In words, a line each.
    pub fn lines(&self) -> String {
        let opened = self.opened.map(Opened::in_words);
        let hidden = (self.hidden > 0).then(|| {
            let units = plural(self.hidden as u64, "unit");
            format!("disagreements on {units} of the test split are not shown; --show-test names them, and is recorded")
        });
        let notes = opened
            .into_iter()
            .chain(hidden)
            .chain(small_groups(self.small_groups))
            .map(|note| format!("note: {note}\n"));
        let leaks = self.leaks.as_ref().and_then(LeakCheck::warning);
        notes.chain(leaks.map(|leaks| format!("warning: {leaks}\n"))).collect()
    }

    /// The members of a document; none for ratings that belong to no task.
    pub fn members(&self) -> Map<String, Value> {
        let mut members = Map::new();
        if self.leaks.is_some() {
            members.insert("test_opened".to_owned(), json!(self.opened.map(|opened| opened.times)));
            members.insert("test_shown".to_owned(), json!(self.opened.map(|opened| opened.shown)));
            members.insert("test_hidden".to_owned(), json!(self.hidden));
            members.insert("leaks".to_owned(), json!(self.leaks));
        }
        members
    }
}

/// That groups were left out, if any were.
pub fn small_groups(count: usize) -> Option<String> {
    (count > 0).then(|| {
        let groups = plural(count as u64, "group");
        format!("{groups} with fewer than {FEWEST_HIDDEN} units of the test split left out: their figures would tell single answers; --show-test shows them")
    })
}

/// Who runs this, as far as the system says.
fn person() -> String {
    let named = ["USER", "LOGNAME", "USERNAME"].into_iter().filter_map(environment);
    named.into_iter().find(|name| !name.is_empty()).unwrap_or_else(|| "unknown".to_owned())
}

/// Looks for the codebook's examples in the gold. The transcripts are those that the runs were made from, else those of the configuration; only
/// sessions that gold names are read, and none for a codebook without examples.
pub fn leak_check(
    library: &Library,
    codebook: &Codebook,
    gold: &Gold,
    runs: &[RunRows],
    show_test: bool,
    config: &Config,
) -> LeakCheck {
    if !has_examples(codebook, library.partials()) {
        return LeakCheck::nothing_to_look_for();
    }
    let inputs: HashSet<&PathBuf> = runs
        .iter()
        .flat_map(|run| &run.manifest.inputs)
        .map(|input| &input.path)
        .filter(|path| path.exists())
        .collect();
    let mut paths: Vec<PathBuf> = inputs.into_iter().cloned().collect();
    paths.sort();
    if paths.is_empty() {
        let configured = config.input.sessions.iter().map(|path| expand_home(path, &environment));
        paths = configured.filter(|path| path.exists()).collect();
    }
    let texts =
        transcripts(&paths, &sessions_of(gold)).map(|corpus| texts(&corpus, codebook, gold)).unwrap_or_default();
    LeakCheck::of(codebook, library.partials(), &texts, gold.units().len(), show_test)
}

/// The same with the transcripts at hand.
pub fn leak_check_in(corpus: &Corpus, library: &Library, codebook: &Codebook, gold: &Gold) -> LeakCheck {
    if !has_examples(codebook, library.partials()) {
        return LeakCheck::nothing_to_look_for();
    }
    LeakCheck::of(codebook, library.partials(), &texts(corpus, codebook, gold), gold.units().len(), false)
}

fn sessions_of(gold: &Gold) -> HashSet<SessionId> {
    gold.rows.iter().map(|row| row.unit.session()).collect()
}

/// A corpus with the sessions, from those of `paths` whose names end in their ids if that will do: others need not even be opened.
fn transcripts(paths: &[PathBuf], wanted: &HashSet<SessionId>) -> Option<Corpus> {
    let natives: HashSet<&str> = wanted.iter().filter_map(|id| Some(id.as_str().split_once(':')?.1)).collect();
    let lengths: HashSet<usize> = natives.iter().map(|native| native.len()).collect();
    let is_named = |path: &&PathBuf| {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let ends = lengths.iter().filter_map(|length| stem.get(stem.len().checked_sub(*length)?..));
        ends.into_iter().any(|end| natives.contains(end))
    };
    let named: Vec<PathBuf> = paths.iter().filter(is_named).cloned().collect();
    let holds_all = |corpus: &Corpus| {
        let there: HashSet<&SessionId> = corpus.sources().iter().map(|source| &source.id).collect();
        wanted.iter().all(|id| there.contains(id))
    };
    let first = (!named.is_empty()).then(|| corpus::find(&named).ok()).flatten().filter(holds_all);
    first.or_else(|| corpus::find(paths).ok())
}

/// The texts of the gold units whose sessions are in the corpus. What cannot be read is left out.
fn texts(corpus: &Corpus, codebook: &Codebook, gold: &Gold) -> Vec<UnitText> {
    let mut splits: BTreeMap<UnitId, Option<Split>> = BTreeMap::new();
    for row in &gold.rows {
        let split = splits.entry(row.unit.clone()).or_insert(row.split);
        *split = (*split).max(row.split);
    }
    let wanted = sessions_of(gold);
    let read = corpus.read_where(
        |id| wanted.contains(id),
        |session| -> Vec<UnitText> {
            let all: Vec<(u32, String)> =
                session.prompts().map(|(_, prompt)| (prompt.ordinal, prompt.text.clone())).collect();
            let text = |unit: interrater::unit::Unit| {
                let split = *splits.get(&unit.id)?;
                let is_of = |ordinal: u32| unit.prompt.is_none_or(|prompt| prompt.ordinal == ordinal);
                let prompts = all.iter().filter(|(ordinal, _)| is_of(*ordinal)).map(|(_, text)| text.clone()).collect();
                Some(UnitText { unit: unit.id, split, prompts })
            };
            units(&session, codebook.unit).into_iter().filter_map(text).collect()
        },
    );
    read.into_iter().filter_map(Result::ok).flatten().collect()
}
