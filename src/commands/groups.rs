//! Groups of units, by what is known of their sessions or by a column of a file: `agree --group-by`, `estimate --by`.

use super::UsageError;
use interrater::config::Config;
use interrater::corpus;
use interrater::session::SessionSummary;
use interrater::unit::UnitId;
use jiff::tz::TimeZone;
use miette::{IntoDiagnostic, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// More groups than this are no groups.
const MOST_GROUPS: usize = 60;

/// The group of each of these units that has one. `inputs` are transcripts to look into; if none of them is here, those of the configuration.
pub fn grouped(
    by: &str,
    items: Option<&Path>,
    units: &[UnitId],
    inputs: Vec<PathBuf>,
    config: &Config,
) -> Result<HashMap<UnitId, String>> {
    let groups: HashMap<UnitId, String> = match (items, by) {
        (Some(file), _) => by_items(by, "--items", file, units)?,
        (None, "agent") => {
            let agent = |unit: &UnitId| unit.as_str().split(':').next().unwrap_or_default().to_owned();
            units.iter().map(|unit| (unit.clone(), agent(unit))).collect()
        }
        (None, _) => by_sessions(by, units, inputs, config)?,
    };
    let names: BTreeSet<&String> = groups.values().collect();
    if names.len() > MOST_GROUPS {
        return Err(UsageError::Grouping {
            by: by.to_owned(),
            why: format!("it has {} values, more than {MOST_GROUPS}", names.len()),
            hint: "write coarser groups into a file with the columns unit (or session) and this one, and name it with --items".to_owned(),
        }
        .into());
    }
    Ok(groups)
}

fn by_sessions(by: &str, units: &[UnitId], inputs: Vec<PathBuf>, config: &Config) -> Result<HashMap<UnitId, String>> {
    let mut paths: Vec<PathBuf> = inputs.into_iter().filter(|path| path.exists()).collect();
    if paths.is_empty() {
        let configured =
            config.input.sessions.iter().map(|path| interrater::config::expand_home(path, &super::environment));
        paths = configured.filter(|path| path.exists()).collect();
    }
    let wrong =
        |why: &str, hint: &str| UsageError::Grouping { by: by.to_owned(), why: why.to_owned(), hint: hint.to_owned() };
    if paths.is_empty() {
        let why = "the transcripts are not here";
        return Err(wrong(why, "groups by `agent` need no transcripts; other groups can be given with --items").into());
    }
    let corpus = corpus::find(&paths).into_diagnostic()?;
    let sessions: Vec<SessionSummary> =
        corpus.read_all(|session| session.summary()).into_iter().collect::<Result<_, _>>().into_diagnostic()?;
    let mut of_session: BTreeMap<String, String> = BTreeMap::new();
    for session in &sessions {
        if let Some(group) = of_summary(by, session)? {
            of_session.insert(session.id.to_string(), group);
        }
    }
    let grouped =
        units.iter().filter_map(|unit| Some((unit.clone(), of_session.get(unit.session().as_str())?.clone())));
    let groups: HashMap<UnitId, String> = grouped.collect();
    if groups.is_empty() {
        return Err(
            wrong("no session of these units has it", "`interrater sessions --json` shows what sessions have").into()
        );
    }
    Ok(groups)
}

/// The group of a session: a part of its time, its models, or any plain value of its summary.
fn of_summary(by: &str, session: &SessionSummary) -> Result<Option<String>, UsageError> {
    let day = || session.started.map(|at| at.to_zoned(TimeZone::UTC).date());
    Ok(match by {
        "model" => {
            let models: BTreeSet<&String> = session.models.iter().collect();
            let joined = models.into_iter().cloned().collect::<Vec<_>>().join(" + ");
            Some(joined).filter(|text| !text.is_empty())
        }
        "week" => day().map(|day| {
            let week = day.iso_week_date();
            format!("{:04}-W{:02}", week.year(), week.week())
        }),
        "month" => day().map(|day| format!("{:04}-{:02}", day.year(), day.month())),
        _ => {
            let summary = serde_json::to_value(session).unwrap_or_default();
            match summary.get(by) {
                Some(Value::String(text)) => Some(text.clone()),
                Some(Value::Number(number)) => Some(number.to_string()),
                Some(Value::Bool(flag)) => Some(flag.to_string()),
                Some(Value::Null) => None,
                _ => {
                    let hint = "model, agent, week, month, a plain value of `interrater sessions --json`, a column of --items; for `agree` also split and stratum, where the gold has them";
                    let why = "sessions have no such value".to_owned();
                    return Err(UsageError::Grouping { by: by.to_owned(), why, hint: hint.to_owned() });
                }
            }
        }
    })
}

/// Groups from a file with the columns `unit` or `session` and `by`.
pub fn by_items(by: &str, option: &str, file: &Path, units: &[UnitId]) -> Result<HashMap<UnitId, String>> {
    let wrong = |why: String| UsageError::Grouping {
        by: by.to_owned(),
        why,
        hint: format!("{option} is a CSV file with a header: unit,{by} or session,{by}"),
    };
    let mut reader = csv::Reader::from_path(file).map_err(|error| wrong(format!("{}: {error}", file.display())))?;
    let header = reader.headers().map_err(|error| wrong(format!("{}: {error}", file.display())))?.clone();
    let place = |name: &str| header.iter().position(|column| column == name);
    let value = place(by).ok_or_else(|| wrong(format!("{} has no such column", file.display())))?;
    let id = place("unit")
        .or(place("session"))
        .ok_or_else(|| wrong(format!("{} has neither unit nor session", file.display())))?;
    let mut known: HashMap<String, String> = HashMap::new();
    for record in reader.records() {
        let record = record.map_err(|error| wrong(format!("{}: {error}", file.display())))?;
        let cell = |at: usize| record.get(at).unwrap_or_default().to_owned();
        if let Some(other) = known.insert(cell(id), cell(value)).filter(|other| *other != cell(value)) {
            return Err(
                wrong(format!("{}: `{}` is in `{other}` and in `{}`", file.display(), cell(id), cell(value))).into()
            );
        }
    }
    let group = |unit: &UnitId| {
        let found = known.get(unit.as_str()).or_else(|| known.get(unit.session().as_str()));
        found.filter(|group| !group.is_empty()).cloned()
    };
    let groups: HashMap<UnitId, String> = units.iter().filter_map(|unit| Some((unit.clone(), group(unit)?))).collect();
    if groups.is_empty() {
        return Err(wrong(format!("{} names none of these units or their sessions", file.display())).into());
    }
    Ok(groups)
}
